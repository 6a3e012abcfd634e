package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

const dialTimeout = 10 * time.Second

// Dialer opens every connection of the node agent: to the API server, to endpoints of Services, to probed and forwarded ports.
type Dialer struct {
	mapping Mapping
	inner   net.Dialer
}

// NewDialer makes the dialer for one mapping.
func NewDialer(mapping Mapping) *Dialer {
	d := &Dialer{mapping: mapping}
	d.inner = net.Dialer{Timeout: dialTimeout, ControlContext: d.refuseUnrealised}
	return d
}

// Mapping is the rule that this dialer applies.
func (d *Dialer) Mapping() Mapping { return d.mapping }

// DialContext connects to "host:port" after realising the host.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	return d.inner.DialContext(ctx, network, net.JoinHostPort(d.mapping.RealiseText(host), port))
}

// refuseUnrealised runs just before connect(2), after names are resolved: a name that resolves into the range is refused as well.
func (d *Dialer) refuseUnrealised(_ context.Context, _, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: %w", address, err)
	}
	if d.mapping.Covers(target.Addr()) {
		return fmt.Errorf("dial %s: refused, the address is not realised (would be %s)", address, d.mapping.Realise(target.Addr()))
	}
	return nil
}

// Listen listens on the realised address.
func (d *Dialer) Listen(ctx context.Context, address netip.AddrPort) (*net.TCPListener, error) {
	var config net.ListenConfig
	realised := netip.AddrPortFrom(d.mapping.Realise(address.Addr()), address.Port())
	listener, err := config.Listen(ctx, "tcp4", realised.String())
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}
