package network

import (
	"errors"
	"io"
	"net"
)

// CloseWriter is a connection that can end one direction and keep the other.
type CloseWriter interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// Relay copies both ways between two connections until both directions have ended, then closes them. The end of one direction is passed on as
// the end of that direction only. A reset on one side becomes a reset on the other, so that a cut stream is never taken for a complete one.
func Relay(left, right CloseWriter) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyHalf(left, right)
	}()
	copyHalf(right, left)
	<-done
	_ = left.Close()
	_ = right.Close()
}

func copyHalf(to, from CloseWriter) {
	_, err := io.Copy(to, from)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		Reset(to)
		Reset(from)
	}
}

// Reset closes a connection abruptly: a TCP peer gets RST, not the end of the stream.
func Reset(conn io.Closer) {
	switch c := conn.(type) {
	case interface{ Reset() error }:
		_ = c.Reset()
		return
	case interface{ SetLinger(int) error }:
		_ = c.SetLinger(0)
	}
	_ = conn.Close()
}
