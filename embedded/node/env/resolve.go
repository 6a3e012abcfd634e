package env

import (
	"context"
	"fmt"
	"maps"
	"strings"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Source reads the objects that a container's environment refers to.
type Source interface {
	Secret(ctx context.Context, namespace, name string) (*v1.Secret, error)
	ConfigMap(ctx context.Context, namespace, name string) (*v1.ConfigMap, error)
}

// Resolver makes environments.
type Resolver struct {
	Source      Source
	Realise     func(string) string
	Allocatable v1.ResourceList
}

// Resolve gives the variables that the container's spec asks for, over base (what the node itself provides: Services, HOME, ...). The pod's
// status must hold its addresses. Later entries win; $(VAR) in a value sees base, envFrom and the entries before it.
func (r *Resolver) Resolve(ctx context.Context, pod *v1.Pod, container *v1.Container, base map[string]string) (map[string]string, error) {
	out := maps.Clone(base)
	for i := range container.EnvFrom {
		if err := r.from(ctx, pod.Namespace, &container.EnvFrom[i], out); err != nil {
			return nil, err
		}
	}
	lookup := func(name string) (string, bool) {
		value, known := out[name]
		return value, known
	}
	for _, variable := range container.Env {
		if variable.ValueFrom == nil {
			out[variable.Name] = Expand(variable.Value, lookup)
			continue
		}
		value, set, err := r.value(ctx, pod, container, variable.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", variable.Name, err)
		}
		if set {
			out[variable.Name] = value
		}
	}
	return out, nil
}

func (r *Resolver) value(ctx context.Context, pod *v1.Pod, container *v1.Container, from *v1.EnvVarSource) (value string, set bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = Field(pod, from.FieldRef.FieldPath, r.Realise)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err = Resource(pod, container, from.ResourceFieldRef, r.Allocatable)
		return value, true, err
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		secret, err := r.Source.Secret(ctx, pod.Namespace, ref.Name)
		if err != nil {
			return "", false, absent(err, ref.Optional)
		}
		content, found := secret.Data[ref.Key]
		return key(string(content), found, ref.Optional, "secret", ref.Name, ref.Key)
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		configMap, err := r.Source.ConfigMap(ctx, pod.Namespace, ref.Name)
		if err != nil {
			return "", false, absent(err, ref.Optional)
		}
		content, found := configMap.Data[ref.Key]
		return key(content, found, ref.Optional, "configmap", ref.Name, ref.Key)
	}
	return "", false, fmt.Errorf("valueFrom: want one of fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef")
}

func (r *Resolver) from(ctx context.Context, namespace string, from *v1.EnvFromSource, out map[string]string) error {
	set := func(name, value string) {
		if name = from.Prefix + name; name != "" && !strings.ContainsAny(name, "=\x00") {
			out[name] = value
		}
	}
	switch {
	case from.SecretRef != nil:
		secret, err := r.Source.Secret(ctx, namespace, from.SecretRef.Name)
		if err != nil {
			return absent(err, from.SecretRef.Optional)
		}
		for name, value := range secret.Data {
			set(name, string(value))
		}
	case from.ConfigMapRef != nil:
		configMap, err := r.Source.ConfigMap(ctx, namespace, from.ConfigMapRef.Name)
		if err != nil {
			return absent(err, from.ConfigMapRef.Optional)
		}
		for name, value := range configMap.Data {
			set(name, value)
		}
	}
	return nil
}

// absent forgives a missing object where the reference is optional.
func absent(err error, optional *bool) error {
	if optional != nil && *optional && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func key(value string, found bool, optional *bool, kind, name, key string) (string, bool, error) {
	if !found && (optional == nil || !*optional) {
		return "", false, fmt.Errorf("%s %q has no key %q", kind, name, key)
	}
	return value, found, nil
}
