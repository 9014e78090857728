// The real provider of libvirt: terraform-provider-libvirt behind Pulumi's bridge, under the names of pulumi-libvirt 0.5.4.
package main

import (
	"encoding/json"
	"log"

	"github.com/dmacvicar/terraform-provider-libvirt/libvirt"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

const (
	name    = "libvirt"
	version = "0.5.4"
)

func main() {
	schema, err := json.Marshal(map[string]string{"name": name, "version": version})
	if err != nil {
		log.Fatal(err)
	}
	tfbridge.Main(name, version, tfbridge.ProviderInfo{
		P:            shim.NewProvider(libvirt.Provider()),
		Name:         name,
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		// What the adapter makes and asks.
		Resources: map[string]*tfbridge.ResourceInfo{
			"libvirt_cloudinit_disk": resource("cloudInitDisk:CloudInitDisk"),
			"libvirt_domain":         resource("domain:Domain"),
			"libvirt_volume":         resource("volume:Volume"),
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"libvirt_node_info": {Tok: tokens.ModuleMember(name + ":index/getNodeInfo:getNodeInfo")},
		},
	}, schema)
}

func resource(token string) *tfbridge.ResourceInfo {
	return &tfbridge.ResourceInfo{Tok: tokens.Type(name + ":index/" + token)}
}
