// Command pulumi-resource-kubernetes is the official provider, served from its Go module.
//
// The module's own command embeds two files that its build generates and its repository does not hold, so `go build` of it fails. They are the
// files of the same name without "-embed" in them, which the module does hold; the toolchain copies them here before it builds.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var terraformMapping []byte

func main() {
	provider.Serve("kubernetes", version.Version, schema, terraformMapping)
}
