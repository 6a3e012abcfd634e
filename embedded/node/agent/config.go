// Package agent is the node agent: it registers this host as the cluster's node and connects virtual-kubelet, the pods, the Services and the
// API server's way to them.
package agent

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"servicefailover.dev/embedded/node/network"
	"servicefailover.dev/embedded/node/pods"
)

// Config is the agent's configuration file. Every field is required but labels.
type Config struct {
	ClusterName      string            `json:"clusterName"`
	NodeName         string            `json:"nodeName"`
	Kubeconfig       string            `json:"kubeconfig"` // file: how the agent itself reaches the API server
	StateDir         string            `json:"stateDir"`
	APIServer        string            `json:"apiServer"` // URL that pods use
	CAFile           string            `json:"caFile"`
	Realise          string            `json:"realise"`     // see network.ParseMapping
	NodeAddress      string            `json:"nodeAddress"` // as the API has it, like the ranges
	PodCIDR          string            `json:"podCidr"`
	LoadBalancerCIDR string            `json:"loadBalancerCidr"`
	Listen           string            `json:"listen"` // realised address:port of the agent's own server
	ServingCert      string            `json:"servingCert"`
	ServingKey       string            `json:"servingKey"`
	ClientCAFile     string            `json:"clientCaFile"`
	Labels           map[string]string `json:"labels"`
	Capacity         map[string]string `json:"capacity"`
	Images           pods.Images       `json:"images"`

	mapping       network.Mapping
	nodeAddress   netip.Addr
	podCIDR       netip.Prefix
	loadBalancers netip.Prefix
	listen        netip.AddrPort
	capacity      v1.ResourceList
}

// ReadConfig reads and checks the file. Errors name the field and what is allowed.
func ReadConfig(file string) (*Config, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var c Config
	if err := json.Unmarshal(content, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := c.parse(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &c, nil
}

func (c *Config) parse() (err error) {
	for field, value := range map[string]string{
		"nodeName": c.NodeName, "kubeconfig": c.Kubeconfig, "stateDir": c.StateDir, "apiServer": c.APIServer, "caFile": c.CAFile,
		"servingCert": c.ServingCert, "servingKey": c.ServingKey, "clientCaFile": c.ClientCAFile,
	} {
		if value == "" {
			return fmt.Errorf("%s: missing", field)
		}
	}
	if !filepath.IsAbs(c.StateDir) {
		return fmt.Errorf("stateDir: %q: want an absolute path", c.StateDir)
	}
	if c.mapping, err = network.ParseMapping(c.Realise); err != nil {
		return err
	}
	if c.nodeAddress, err = netip.ParseAddr(c.NodeAddress); err != nil {
		return fmt.Errorf("nodeAddress: %w", err)
	}
	if c.podCIDR, err = netip.ParsePrefix(c.PodCIDR); err != nil {
		return fmt.Errorf("podCidr: %w", err)
	}
	if c.loadBalancers, err = netip.ParsePrefix(c.LoadBalancerCIDR); err != nil {
		return fmt.Errorf("loadBalancerCidr: %w", err)
	}
	for field, address := range map[string]netip.Addr{
		"nodeAddress": c.nodeAddress, "podCidr": c.podCIDR.Addr(), "loadBalancerCidr": c.loadBalancers.Addr(),
	} {
		if !c.mapping.Covers(address) {
			return fmt.Errorf("%s: %s is outside the range that realise (%s) covers", field, address, c.Realise)
		}
	}
	if c.listen, err = netip.ParseAddrPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if c.mapping.Realise(c.nodeAddress) != c.listen.Addr() {
		return fmt.Errorf("listen: %s: want the realised nodeAddress %s", c.listen.Addr(), c.mapping.Realise(c.nodeAddress))
	}
	c.capacity = v1.ResourceList{}
	for _, name := range []v1.ResourceName{v1.ResourceCPU, v1.ResourceMemory, v1.ResourcePods} {
		amount, err := resource.ParseQuantity(c.Capacity[string(name)])
		if err != nil {
			return fmt.Errorf("capacity.%s: %q: %w", name, c.Capacity[string(name)], err)
		}
		c.capacity[name] = amount
	}
	for repository, image := range c.Images {
		if len(image.Entrypoint) == 0 {
			return fmt.Errorf("images.%s.entrypoint: missing", repository)
		}
	}
	return nil
}
