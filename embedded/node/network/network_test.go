package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func mapping(t *testing.T) Mapping {
	t.Helper()
	m, err := ParseMapping("10.64.0.0/10=127.64.0.0/10")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAddressesOfTheRangeAreRealisedAndOthersStay(t *testing.T) {
	m := mapping(t)
	for text, want := range map[string]string{
		"10.77.0.5":        "127.77.0.5",
		"10.64.0.0":        "127.64.0.0",
		"10.127.255.255":   "127.127.255.255",
		"10.63.255.255":    "10.63.255.255",
		"10.128.0.1":       "10.128.0.1",
		"127.77.0.5":       "127.77.0.5",
		"::ffff:10.77.0.5": "127.77.0.5",
		"2001:db8::1":      "2001:db8::1",
		"example.com":      "example.com",
		"":                 "",
	} {
		if got := m.RealiseText(text); got != want {
			t.Errorf("%q is realised as %q, want %q", text, got, want)
		}
	}
}

func TestARangeOfAnySizeKeepsTheHostPart(t *testing.T) {
	m, err := ParseMapping("192.168.20.16/28=127.9.8.32/28")
	if err != nil {
		t.Fatal(err)
	}
	if got := m.RealiseText("192.168.20.21"); got != "127.9.8.37" {
		t.Errorf("got %s, want 127.9.8.37: the last four bits are the host's", got)
	}
}

func TestAMappingThatWouldLeaveTheHostIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "10.64.0.0/10", "10.64.0.0/10=127.0.0.0/8", "10.64.0.0/10=10.128.0.0/10", "10.64.0.1/10=127.64.0.0/10", "x=y",
		"::/96=127.64.0.0/10", "127.64.0.0/10=127.64.0.0/10",
	} {
		if _, err := ParseMapping(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: got %v, want an error that names the value", text, err)
		}
	}
}

func TestTheDialerConnectsToTheRealisedAddress(t *testing.T) {
	dialer := NewDialer(mapping(t))
	listener, err := dialer.Listen(context.Background(), netip.MustParseAddrPort("10.125.254.7:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	at := listener.Addr().(*net.TCPAddr)
	if at.IP.String() != "127.125.254.7" {
		t.Fatalf("listens on %s, want 127.125.254.7", at.IP)
	}
	conn, err := dialer.DialContext(context.Background(), "tcp", fmt.Sprintf("10.125.254.7:%d", at.Port))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestAnUnrealisedAddressNeverReachesASocket(t *testing.T) {
	dialer := NewDialer(mapping(t))
	// What DialContext realises is bypassed here, as a name that resolves into the range would.
	_, err := dialer.inner.Dial("tcp", "10.77.0.1:1")
	if err == nil || !strings.Contains(err.Error(), "not realised") {
		t.Errorf("got %v, want a refusal before connect", err)
	}
}

func TestAPodKeepsItsAddressOverARestartAndNobodyElseGetsIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addresses.json")
	open := func() *Addresses {
		a, err := OpenAddresses(file, netip.MustParsePrefix("10.77.0.0/28"), 10)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	acquire := func(a *Addresses, owner string) string {
		address, err := a.Acquire(owner)
		if err != nil {
			t.Fatal(err)
		}
		return address.String()
	}
	a := open()
	if got := acquire(a, "one"); got != "10.77.0.10" {
		t.Errorf("the first address is %s, want 10.77.0.10: those before are the node's", got)
	}
	acquire(a, "two")
	a = open()
	if got := acquire(a, "two"); got != "10.77.0.11" {
		t.Errorf("after a restart two has %s, want 10.77.0.11 as before", got)
	}
	if err := a.Release("one"); err != nil {
		t.Fatal(err)
	}
	if got := acquire(a, "three"); got != "10.77.0.12" {
		t.Errorf("three has %s, want 10.77.0.12: an address rests before it is used again", got)
	}
	acquire(a, "four")
	acquire(a, "five")
	acquire(a, "six")
	if got := acquire(open(), "one"); got != "10.77.0.10" {
		t.Errorf("one has %s, want 10.77.0.10: at the end of the range the search begins anew", got)
	}
	if _, err := open().Acquire("seven"); err == nil {
		t.Error("a full range gives an address twice")
	}
}

func TestAddressesThatNobodyHoldsAnyMoreAreReleased(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addresses.json")
	prefix := netip.MustParsePrefix("10.77.0.0/24")
	a, _ := OpenAddresses(file, prefix, 10)
	kept, _ := a.Acquire("kept")
	_, _ = a.Acquire("gone")
	if err := a.Retain(func(owner string) bool { return owner == "kept" }); err != nil {
		t.Fatal(err)
	}
	if len(a.owner) != 1 || a.owner[kept] != "kept" {
		t.Errorf("held: %v, want kept only", a.owner)
	}
}

func TestAnAgentThatGaveOutNothingCanBeRestarted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addresses.json")
	a, _ := OpenAddresses(file, netip.MustParsePrefix("10.77.0.0/24"), 10)
	if err := a.Retain(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAddresses(file, netip.MustParsePrefix("10.77.0.0/24"), 10); err != nil {
		t.Errorf("its own file is refused: %v", err)
	}
}

func TestANamePrefersTheSameAddressUnlessItIsTaken(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.192.0/18")
	free := func(netip.Addr) bool { return false }
	first, err := Preferred(prefix, "gloo-system/failover", free)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Preferred(prefix, "gloo-system/failover", free)
	other, _ := Preferred(prefix, "gloo-system/failover", func(a netip.Addr) bool { return a == first })
	if first != again || other == first || !prefix.Contains(other) {
		t.Errorf("got %s, %s, and %s when taken", first, again, other)
	}
}

// pair gives two ends of a TCP connection.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	_ = conn.SetDeadline(deadline)
	t.Cleanup(func() { conn.Close(); accepted.Close() })
	return conn.(*net.TCPConn), accepted.(*net.TCPConn)
}

func TestARelayPassesTheEndOfOneDirectionOn(t *testing.T) {
	client, left := pair(t)
	server, right := pair(t)
	go Relay(left, right)
	_, _ = client.Write([]byte("question"))
	_ = client.CloseWrite()
	question, err := io.ReadAll(server)
	if string(question) != "question" || err != nil {
		t.Fatalf("the server read %q, %v", question, err)
	}
	_, _ = server.Write([]byte("answer"))
	_ = server.Close()
	answer, err := io.ReadAll(client)
	if string(answer) != "answer" || err != nil {
		t.Errorf("the client read %q, %v: an answer after the end of the question is lost", answer, err)
	}
}

func TestARelayPassesAResetOn(t *testing.T) {
	client, left := pair(t)
	server, right := pair(t)
	go Relay(left, right)
	_, _ = client.Write([]byte("x"))
	_, _ = io.ReadFull(server, make([]byte, 1))
	Reset(server)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v, want a reset: a cut answer must not look complete", err)
	}
}
