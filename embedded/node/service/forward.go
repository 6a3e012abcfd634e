package service

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"servicefailover.dev/embedded/node/network"
)

// connectTimeout bounds one attempt; on loopback an endpoint answers or refuses at once.
const connectTimeout = 3 * time.Second

// forward is one address and port of a Service. It listens while there is an endpoint: with none, the kernel refuses connections.
type forward struct {
	dialer *network.Dialer
	at     netip.AddrPort

	mu        sync.Mutex
	endpoints []netip.AddrPort
	next      int
	listener  *net.TCPListener
}

// set changes the endpoints. Connections that exist go on, to whichever endpoint they have.
func (f *forward) set(ctx context.Context, endpoints []netip.AddrPort) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endpoints = endpoints
	if len(endpoints) == 0 {
		f.stopListening()
		return nil
	}
	if f.listener != nil {
		return nil
	}
	listener, err := f.dialer.Listen(ctx, f.at)
	if err != nil {
		return err
	}
	f.listener = listener
	go f.accept(listener)
	return nil
}

// close stops accepting; connections that exist go on.
func (f *forward) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endpoints = nil
	f.stopListening()
}

func (f *forward) stopListening() {
	if f.listener != nil {
		_ = f.listener.Close()
		f.listener = nil
	}
}

func (f *forward) accept(listener *net.TCPListener) {
	for {
		conn, err := listener.AcceptTCP()
		if err == nil {
			go f.serve(conn)
			continue
		}
		f.mu.Lock()
		closed := f.listener != listener
		f.mu.Unlock()
		if closed {
			return
		}
		slog.Warn("service connection not accepted", "address", f.at, "error", err)
		time.Sleep(50 * time.Millisecond) // out of file descriptors: wait for some to be freed
	}
}

// serve connects a client with the next endpoint that answers; with none the client gets a reset.
func (f *forward) serve(client *net.TCPConn) {
	for _, endpoint := range f.order() {
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
		backend, err := f.dialer.DialContext(ctx, "tcp4", endpoint.String())
		cancel()
		if err == nil {
			network.Relay(client, backend.(*net.TCPConn))
			return
		}
	}
	network.Reset(client)
}

// order gives the endpoints to try, each call beginning one further.
func (f *forward) order() []netip.AddrPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.endpoints) == 0 {
		return nil
	}
	f.next = (f.next + 1) % len(f.endpoints)
	return slices.Concat(f.endpoints[f.next:], f.endpoints[:f.next])
}
