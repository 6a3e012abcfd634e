package pods

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// Image is what this node runs for an image: a program of the host.
type Image struct {
	Entrypoint []string          `json:"entrypoint"`
	Env        map[string]string `json:"env,omitempty"`
}

// Images maps repositories (no registry of Docker Hub, no tag, no digest) to programs.
type Images map[string]Image

// Find looks an image reference up. Tag and digest do not matter: the node has one version of each.
func (i Images) Find(reference string) (Image, error) {
	image, found := i[Repository(reference)]
	if !found {
		return Image{}, fmt.Errorf("image %q: this node runs host programs, not images, and has none for %s; it has: %s",
			reference, Repository(reference), strings.Join(slices.Sorted(maps.Keys(i)), ", "))
	}
	return image, nil
}

// Repository strips tag, digest and the names of Docker Hub from an image reference.
func Repository(reference string) string {
	repository, _, _ := strings.Cut(reference, "@")
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		repository = repository[:colon]
	}
	for _, prefix := range []string{"docker.io/", "index.docker.io/", "library/"} {
		repository = strings.TrimPrefix(repository, prefix)
	}
	return repository
}

// Command is the argv of a container: the spec's command and args over the image's entrypoint. A command that is not on this host but has the
// name of the entrypoint's program (/usr/local/bin/envoy) is taken for that program.
func (i Image) Command(container *v1.Container, expand func([]string) []string) []string {
	entrypoint := i.Entrypoint
	if len(container.Command) > 0 {
		entrypoint = expand(container.Command)
		_, err := exec.LookPath(entrypoint[0])
		if err != nil && len(i.Entrypoint) > 0 && filepath.Base(entrypoint[0]) == filepath.Base(i.Entrypoint[0]) {
			entrypoint = slices.Concat(i.Entrypoint, entrypoint[1:])
		}
	}
	return slices.Concat(entrypoint, expand(container.Args))
}
