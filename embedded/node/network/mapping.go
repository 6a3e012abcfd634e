// Package network is the one place where an address of the API becomes an address of a socket.
//
// Kubernetes objects hold addresses in an ordinary range (10.64.0.0/10), because the API refuses loopback addresses in EndpointSlices.
// Processes listen on loopback. A Mapping turns the first kind into the second, a Dialer applies it to every connection, and an address of the
// first kind never reaches a socket: the Dialer refuses it at the last moment, whatever path it came by.
package network

import (
	"fmt"
	"net/netip"
	"strings"
)

// Mapping realises the addresses of one range in another range of the same size.
type Mapping struct {
	from, to netip.Prefix
}

// ParseMapping reads "10.64.0.0/10=127.64.0.0/10". Both sides must be IPv4 prefixes of the same length with no host bits set, and the right side
// must be loopback: anything else would send the cluster's traffic to another machine.
func ParseMapping(text string) (Mapping, error) {
	left, right, found := strings.Cut(text, "=")
	if !found {
		return Mapping{}, fmt.Errorf("realise: %q: want <range>=<loopback range>, as in 10.64.0.0/10=127.64.0.0/10", text)
	}
	from, err := parseRange(left)
	if err != nil {
		return Mapping{}, fmt.Errorf("realise: %q: %w", text, err)
	}
	to, err := parseRange(right)
	if err != nil {
		return Mapping{}, fmt.Errorf("realise: %q: %w", text, err)
	}
	if from.Bits() != to.Bits() {
		return Mapping{}, fmt.Errorf("realise: %q: the two ranges differ in size", text)
	}
	if !to.Addr().IsLoopback() || to.Bits() < 8 {
		return Mapping{}, fmt.Errorf("realise: %q: the right side must lie within 127.0.0.0/8", text)
	}
	if from.Overlaps(to) {
		return Mapping{}, fmt.Errorf("realise: %q: the two ranges overlap", text)
	}
	return Mapping{from: from, to: to}, nil
}

func parseRange(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
	if err != nil {
		return netip.Prefix{}, err
	}
	if !prefix.Addr().Is4() {
		return netip.Prefix{}, fmt.Errorf("%s is not IPv4", prefix)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%s has host bits set, want %s", prefix, prefix.Masked())
	}
	return prefix, nil
}

// Covers says whether the address is one that must be realised before use.
func (m Mapping) Covers(address netip.Addr) bool {
	return m.from.Contains(address.Unmap())
}

// Realise gives the address that a socket uses. Addresses outside the range are their own realisation.
func (m Mapping) Realise(address netip.Addr) netip.Addr {
	address = address.Unmap()
	if !m.from.Contains(address) {
		return address
	}
	host, network := address.As4(), m.to.Addr().As4()
	for i := range host {
		bits := min(max(m.to.Bits()-8*i, 0), 8)
		mask := byte(0xff << (8 - bits))
		host[i] = network[i]&mask | host[i]&^mask
	}
	return netip.AddrFrom4(host)
}

// RealiseText is Realise for text: what is not an IP address (a host name, an empty string) stays as it is.
func (m Mapping) RealiseText(text string) string {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	return m.Realise(address).String()
}
