package pods

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// PodClient gives virtual-kubelet's pod controller its way to the API. That controller deletes a pod's object when the grace period is over or when
// no container runs at the moment; here an object goes when the pod's last process has ended, and not before.
func (p *Provider) PodClient() corev1client.PodsGetter { return podsGetter{p} }

type podsGetter struct{ provider *Provider }

func (g podsGetter) Pods(namespace string) corev1client.PodInterface {
	return podClient{PodInterface: g.provider.Client.CoreV1().Pods(namespace), provider: g.provider, namespace: namespace}
}

type podClient struct {
	corev1client.PodInterface
	provider  *Provider
	namespace string
}

// Delete stops a pod that is still here, and the object follows; only objects that nothing stands behind are deleted at once.
func (c podClient) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	if options.Preconditions != nil && options.Preconditions.UID != nil && c.provider.runs(*options.Preconditions.UID) {
		pod, err := c.provider.Pods.Pods(c.namespace).Get(name)
		if err != nil || pod.UID != *options.Preconditions.UID {
			return err
		}
		return c.provider.DeletePod(ctx, pod.DeepCopy())
	}
	return c.PodInterface.Delete(ctx, name, options)
}
