package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/netip"
	"os"
	"sync"
)

// Addresses hands out pod addresses. What is handed out is written down, so that a restarted agent gives a pod the address it had and gives
// nobody an address that is in use.
type Addresses struct {
	prefix netip.Prefix
	first  netip.Addr
	file   string

	mu    sync.Mutex
	owner map[netip.Addr]string
	last  netip.Addr
}

type addressFile struct {
	Owners map[string]string `json:"owners"` // owner -> address
	Last   string            `json:"last"`   // the address handed out last: the search goes on from here, so that an address rests before it is used again
}

// OpenAddresses reads the file if there is one. Addresses below skip (counted from the start of the range) are never handed out.
func OpenAddresses(file string, prefix netip.Prefix, skip int) (*Addresses, error) {
	a := &Addresses{prefix: prefix.Masked(), file: file, owner: map[netip.Addr]string{}}
	a.first = a.prefix.Addr()
	for range skip {
		a.first = a.first.Next()
	}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	var saved addressFile
	if err := json.Unmarshal(content, &saved); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for owner, text := range saved.Owners {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%s: address of %s: %w", file, owner, err)
		}
		a.owner[address] = owner
	}
	if saved.Last != "" {
		if a.last, err = netip.ParseAddr(saved.Last); err != nil {
			return nil, fmt.Errorf("%s: last: %w", file, err)
		}
	}
	return a, nil
}

// Acquire gives the owner its address: the one it has, or the next free one.
func (a *Addresses) Acquire(owner string) (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for address, holder := range a.owner {
		if holder == owner {
			return address, nil
		}
	}
	address := a.last
	for range 1 << (32 - a.prefix.Bits()) {
		address = a.next(address)
		if _, taken := a.owner[address]; taken || !usable(address) {
			continue
		}
		a.owner[address], a.last = owner, address
		return address, a.save()
	}
	return netip.Addr{}, fmt.Errorf("no free address in %s: %d are in use", a.prefix, len(a.owner))
}

// Release gives the owner's address back.
func (a *Addresses) Release(owner string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for address, holder := range a.owner {
		if holder == owner {
			delete(a.owner, address)
			return a.save()
		}
	}
	return nil
}

// Retain releases every owner that keep refuses.
func (a *Addresses) Retain(keep func(owner string) bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for address, holder := range a.owner {
		if !keep(holder) {
			delete(a.owner, address)
		}
	}
	return a.save()
}

func (a *Addresses) next(address netip.Addr) netip.Addr {
	if address.IsValid() {
		address = address.Next()
	}
	if !address.IsValid() || !a.prefix.Contains(address) || address.Less(a.first) {
		return a.first
	}
	return address
}

func (a *Addresses) save() error {
	saved := addressFile{Owners: make(map[string]string, len(a.owner))}
	if a.last.IsValid() {
		saved.Last = a.last.String()
	}
	for address, owner := range a.owner {
		saved.Owners[owner] = address.String()
	}
	content, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	return WriteFile(a.file, content)
}

// WriteFile replaces a file in one step, readable by its owner only.
func WriteFile(file string, content []byte) error {
	temporary := file + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}

// Preferred is the address that a name gets in a range unless it is taken: the same name gets the same address in every cluster life.
// taken is asked until it says false.
func Preferred(prefix netip.Prefix, name string, taken func(netip.Addr) bool) (netip.Addr, error) {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name))
	size := uint32(1) << (32 - prefix.Bits())
	for step := range size {
		address := offset(prefix.Masked().Addr(), (hash.Sum32()+step)%size)
		if usable(address) && !taken(address) {
			return address, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no free address in %s", prefix)
}

func offset(base netip.Addr, by uint32) netip.Addr {
	b := base.As4()
	sum := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	sum += by
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

// usable leaves out what looks like a network or broadcast address to people and tools.
func usable(address netip.Addr) bool {
	last := address.As4()[3]
	return last != 0 && last != 255
}
