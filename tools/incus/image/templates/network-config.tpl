{{ config_get("cloud-init.network-config", "network: {config: disabled}") }}
