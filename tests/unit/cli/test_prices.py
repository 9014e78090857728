"""`prices` on the clouds' own price interfaces, in the shapes that they document, served on the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from cli.commands.prices import renew
from components.clouds.aws import prices as aws
from components.clouds.azure import prices as azure
from components.clouds.digitalocean import prices as digitalocean
from components.clouds.gcp import prices as gcp
from components.clouds.hetzner import prices as hetzner
from components.clouds.price_documents import NotAsked
from components.model.clouds.facts import load_prices
from components.model.clouds.price_list import Found, format_list, list_regions, merge

Answer = Callable[[str, dict[str, list[str]]], Any]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Serves `answer(path, query)`: text as it is, the rest as JSON, None as 403. Returns the address."""
    running: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                found = answer(unquote(parts.path), parse_qs(parts.query))
                self.send_response(403 if found is None else 200)
                self.end_headers()
                self.wfile.write((found if isinstance(found, str) else json.dumps(found)).encode())

            def log_message(self, *arguments: Any) -> None:
                """Nothing on the terminal."""

        running.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def azure_item(price: float, **more: str) -> dict[str, Any]:
    return {
        "retailPrice": price,
        "unitOfMeasure": "1 Hour",
        "productName": "Virtual Machines Falsv6 Series",
        "skuName": "F4als v6",
        "armSkuName": "",
        "meterName": "",
        "currencyCode": "USD",
        "type": "Consumption",
        **more,
    }


def test_azure_page_by_page_without_windows_and_spot(serve: Callable[[Answer], str]) -> None:
    def answer(path: str, query: dict[str, list[str]]) -> Any:
        assert path == "/api/retail/prices"
        (wish,) = query["$filter"]
        assert "priceType eq 'Consumption'" in wish and "armRegionName eq 'westeurope'" in wish
        if "Virtual Machines" in wish and "$skip" not in query:
            size = {"armSkuName": "Standard_F4als_v6"}
            following = f"https://prices.azure.com:443/api/retail/prices?$filter={wish.replace(' ', '%20')}&$skip=1000"
            items = [
                azure_item(0.1, skuName="F4als v6 Spot", **size),
                azure_item(9.9, armSkuName="Standard_M128"),
                azure_item(0.4, productName="F Series Windows", **size),
            ]
            return {"Items": items, "NextPageLink": following}
        if "Virtual Machines" in wish:
            return {"Items": [azure_item(0.291, armSkuName="Standard_F4als_v6")], "NextPageLink": None}
        if "Premium SSD v2" in wish:
            capacity = {"unitOfMeasure": "1 GiB/Hour", "meterName": "Premium LRS Provisioned Capacity"}
            items = [azure_item(0.000121, **capacity), azure_item(7e-06, meterName="Premium LRS Provisioned IOPS")]
            return {"Items": items, "NextPageLink": None}
        if "Premium SSD" in wish:
            return {
                "Items": [
                    azure_item(20.6, unitOfMeasure="1/Month", meterName="P10 LRS Disk"),
                    azure_item(1.0, unitOfMeasure="1/Month", meterName="P10 LRS Disk Mount"),
                ],
                "NextPageLink": None,
            }
        return {"Items": [azure_item(0.005)] if "Public IP" in wish else [], "NextPageLink": None}

    found = azure.find_prices(["Standard_F4als_v6"], ["westeurope"], serve(answer))
    assert found.machines == {"Standard_F4als_v6": {"westeurope": 0.291}} and found.per == "hourly"
    assert found.others == {
        ("disk", "Premium_LRS", "tiers", "128"): {"westeurope": 20.6},
        ("disk", "PremiumV2_LRS"): {"westeurope": 0.0883},
        ("address",): {"westeurope": 3.65},
    }


def test_aws_reads_the_one_row_that_counts(serve: Callable[[Answer], str]) -> None:
    head = [
        "SKU",
        "TermType",
        "PriceDescription",
        "Unit",
        "PricePerUnit",
        "Instance Type",
        "Operating System",
        "Tenancy",
        "Pre Installed S/W",
        "CapacityStatus",
        "operation",
        "usageType",
        "Volume API Name",
    ]

    def row(price: float, unit: str = "Hrs", **more: str) -> dict[str, str]:
        instance = {
            "TermType": "OnDemand",
            "Operating System": "Linux",
            "Tenancy": "Shared",
            "Pre Installed S/W": "NA",
            "CapacityStatus": "Used",
            "operation": "RunInstances",
            "Instance Type": "c7a.xlarge",
        }
        plain = dict.fromkeys(head, "") | {"TermType": "OnDemand"} | (instance if "usage" not in more else {})
        return plain | {"PricePerUnit": str(price), "Unit": unit, "usageType": more.pop("usage", "")} | more

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        rows = [row(0.005, usage="EUC1-PublicIPv4:InUseAddress"), row(0.006, usage="EUC1-PublicIPv4:IdleAddress")]
        if "AmazonEC2" in path:
            assert path.endswith("/eu-central-1/index.csv")
            rows = [
                row(0.2345),
                row(9, Tenancy="Dedicated"),
                row(9, CapacityStatus="UnusedCapacityReservation"),
                row(9, **{"Operating System": "Windows"}),
                row(9, **{"Pre Installed S/W": "SQL Std"}),
                row(9, TermType="Reserved"),
                row(9, **{"Instance Type": "t3.large"}),
                row(0.0952, "GB-Mo", usage="EUC1-EBS:VolumeUsage.gp3", **{"Volume API Name": "gp3"}),
                row(0.006, "IOPS-Mo", usage="EUC1-EBS:VolumeP-IOPS.gp3", **{"Volume API Name": "gp3"}),
                row(0.052, usage="EUC1-NatGateway-Hours"),
                row(0.052, "GB", usage="EUC1-NatGateway-Bytes"),
            ]
        lines = [f'"{name}","..."' for name in ("FormatVersion", "Disclaimer", "Publication Date", "Version", "OfferCode")]
        lines += [",".join(f'"{name}"' for name in head), *(",".join(f'"{one[name]}"' for name in head) for one in rows)]
        return "\n".join(lines) + "\n"

    found = aws.find_prices(["c7a.xlarge"], ["eu-central-1"], serve(answer))
    assert found.machines == {"c7a.xlarge": {"eu-central-1": 0.2345}}
    assert found.others == {
        ("disk", "gp3"): {"eu-central-1": 0.0952},
        ("nat",): {"eu-central-1": 37.96},
        ("address",): {"eu-central-1": 3.65},
    }


def test_hetzner_and_digitalocean_with_a_token(serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch) -> None:
    price = {"price_hourly": {"net": "0.01", "gross": "0.02"}, "price_monthly": {"net": "44.0000000000", "gross": "52.36"}}

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        if path == "/v2/sizes":
            return {"sizes": [{"slug": "c-4", "price_monthly": 84.0}, {"slug": "s-1vcpu-1gb", "price_monthly": 6.0}]}
        assert path == "/v1/pricing"
        return {
            "pricing": {
                "currency": "EUR",
                "vat_rate": "19.00",
                "volume": {"price_per_gb_month": {"net": "0.0572", "gross": "0.068"}},
                "primary_ips": [{"type": "ipv4", "prices": [{"location": "fsn1", **price}]}, {"type": "ipv6", "prices": []}],
                "server_types": [{"name": "ccx13", "prices": [{"location": "fsn1", **price}]}, {"name": "cx22", "prices": []}],
            }
        }

    address = serve(answer)
    monkeypatch.setenv("HCLOUD_TOKEN", "t")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "t")
    found = hetzner.find_prices(["ccx13"], ["fsn1", "hel1"], address)
    assert found.machines == {"ccx13": {"fsn1": 44.0}} and found.per == "monthly"
    assert found.others == {("disk", "volume"): {"fsn1": 0.0572, "hel1": 0.0572}, ("address",): {"fsn1": 44.0}}
    assert digitalocean.find_prices(["c-4"], ["any"], address).machines == {"c-4": {"any": 84.0}}


def test_google_adds_core_and_memory(serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def sku(text: str, nanos: int, usage: str = "OnDemand", *regions: str) -> dict[str, Any]:
        rate = {"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": "0", "nanos": nanos}}
        return {
            "description": text,
            "category": {"usageType": usage},
            "serviceRegions": list(regions or ("europe-west3",)),
            "pricingInfo": [{"pricingExpression": {"usageUnit": "h", "tieredRates": [rate]}}],
        }

    pages = [
        [
            sku("C2D AMD Instance Core running in Frankfurt", 40_000_000),
            sku("C2D AMD Instance Core running in Frankfurt", 1, "Preemptible"),
            sku("Commitment v1: C2D AMD Cpu in Frankfurt", 1),
        ],
        [
            sku("C2D AMD Instance Ram running in Frankfurt", 5_000_000),
            sku("SSD backed PD Capacity in Frankfurt", 204_000_000),
            sku("External IP Charge on a Standard VM", 5_000_000, "OnDemand", "global"),
        ],
    ]

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        assert path == "/v1/services/6F81-5844-456A/skus"
        if query["key"] != ["k"]:
            return None
        first = "pageToken" not in query
        return {"skus": pages[0 if first else 1], "nextPageToken": "more" if first else ""}

    address = serve(answer)
    monkeypatch.setenv("GOOGLE_API_KEY", "k")
    found = gcp.find_prices(["c2d-highcpu-4", "c3-highcpu-4"], ["europe-west3"], address)
    assert found.machines == {"c2d-highcpu-4": {"europe-west3": 0.2}}  # 4 cores and 8 GiB; of C3 nothing is told
    assert found.others == {("disk", "pd-ssd"): {"europe-west3": 0.204}, ("address",): {"europe-west3": 3.65}}
    monkeypatch.setenv("GOOGLE_API_KEY", "secret-key")
    with pytest.raises(NotAsked, match="403") as caught:
        gcp.find_prices(["c2d-highcpu-4"], ["europe-west3"], address)
    assert "secret-key" not in str(caught.value)


def test_what_cannot_be_asked_keeps_its_prices(
    serve: Callable[[Answer], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("HCLOUD_TOKEN", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    address = serve(lambda path, query: None)
    file = tmp_path / "machines.json"
    clouds = ["aws", "azure", "digitalocean", "gcp", "hetzner"]
    assert renew(clouds, file, dict.fromkeys(clouds, address)) == [] and not file.exists()
    shown = capsys.readouterr().out
    assert shown.count("keeps its prices of 20") == 5 and "export HCLOUD_TOKEN" in shown and "403 Forbidden" in shown


def test_newer_prices_in_the_list() -> None:
    data = load_prices()
    found = Found("Hetzner pricing", "monthly", {"ccx13": {"fsn1": 44.0}}, {("disk", "volume"): {"fsn1": 0.06}})
    made = merge(data, "hetzner", found, "2026-11-24")
    row = made["clouds"]["hetzner"]
    machines = {machine["name"]: machine["monthly"] for machine in row["machine_types"]}
    assert machines["ccx13"]["fsn1"] == 44.0 and machines["ccx13"]["nbg1"] is None and machines["ccx23"]["fsn1"] is None
    assert row["disk"]["volume"]["regions"]["fsn1"] == {"price": 0.06, "source": "Hetzner pricing"}
    assert row["disk"]["volume"]["regions"]["nbg1"]["as_of"] == "2026-05-27"  # not told: its own date stays
    gateway = merge(data, "aws", Found("AWS price list", "hourly", {}, {("nat",): {"us-east-1": 33.0}}), "2026-11-24")
    assert gateway["clouds"]["aws"]["nat"]["regions"]["us-east-1"] == {"price": 33.0, "source": "AWS price list", "per_gb": 0.045}
    assert made["as_of"]["hetzner"] == "2026-11-24" and made["clouds"]["aws"] == data["clouds"]["aws"]
    assert "Hetzner pricing" in made["sources"] and list_regions(made, "hetzner") == list_regions(data, "hetzner")


def test_the_file_is_written_as_it_stands() -> None:
    from components.model.clouds.facts import MACHINES_FILE

    text = MACHINES_FILE.read_text()
    assert text == format_list(json.loads(text)) and len(text.splitlines()) < 1000
