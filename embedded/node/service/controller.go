package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"

	"servicefailover.dev/embedded/node/network"
)

// Controller keeps forwards and load balancer addresses as Services and EndpointSlices want them. One goroutine does all of it.
type Controller struct {
	client      kubernetes.Interface
	recorder    record.EventRecorder
	dialer      *network.Dialer
	nodeAddress netip.Addr

	services corev1listers.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	queue    workqueue.TypedRateLimitingInterface[types.NamespacedName]

	balancers *LoadBalancers
	forwards  map[types.NamespacedName]map[netip.AddrPort]*forward
	told      map[string]bool // events that were sent, by Service UID and text
}

// NewController registers with the informers of the factory, which the caller starts.
func NewController(
	client kubernetes.Interface, factory informers.SharedInformerFactory, recorder record.EventRecorder, dialer *network.Dialer,
	nodeAddress netip.Addr, loadBalancerRange netip.Prefix,
) (*Controller, error) {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](50*time.Millisecond, 5*time.Second)
	c := &Controller{
		client: client, recorder: recorder, dialer: dialer, nodeAddress: nodeAddress,
		services: factory.Core().V1().Services().Lister(), slices: factory.Discovery().V1().EndpointSlices().Lister(),
		queue:     workqueue.NewTypedRateLimitingQueue(limiter),
		balancers: NewLoadBalancers(loadBalancerRange),
		forwards:  map[types.NamespacedName]map[netip.AddrPort]*forward{}, told: map[string]bool{},
	}
	for informer, keyOf := range map[cache.SharedIndexInformer]func(metav1.Object) string{
		factory.Core().V1().Services().Informer():            metav1.Object.GetName,
		factory.Discovery().V1().EndpointSlices().Informer(): func(o metav1.Object) string { return o.GetLabels()[discoveryv1.LabelServiceName] },
	} {
		enqueue := func(object any) {
			if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = tombstone.Obj
			}
			if o, ok := object.(metav1.Object); ok && keyOf(o) != "" {
				c.queue.Add(types.NamespacedName{Namespace: o.GetNamespace(), Name: keyOf(o)})
			}
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: enqueue, UpdateFunc: func(_, object any) { enqueue(object) }, DeleteFunc: enqueue,
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Run works until the context ends, then closes every listener. The informers must be in sync.
func (c *Controller) Run(ctx context.Context) error {
	all, err := c.services.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, service := range all {
		c.balancers.Claim(service)
	}
	go func() {
		<-ctx.Done()
		c.queue.ShutDown()
	}()
	for {
		name, shutdown := c.queue.Get()
		if shutdown {
			break
		}
		if err := c.reconcile(ctx, name); err != nil {
			slog.Warn("service not forwarded, will try again", "service", name, "error", err)
			c.queue.AddRateLimited(name)
		} else {
			c.queue.Forget(name)
		}
		c.queue.Done(name)
	}
	for name := range c.forwards {
		c.apply(context.Background(), name, nil)
	}
	return nil
}

func (c *Controller) reconcile(ctx context.Context, name types.NamespacedName) error {
	service, err := c.services.Services(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		c.balancers.Release(name)
		return errors.Join(c.apply(ctx, name, nil)...)
	}
	if err != nil {
		return err
	}
	slices, err := c.slices.EndpointSlices(name.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: name.Name}))
	if err != nil {
		return err
	}
	address, err := c.balancers.Assign(service)
	if err != nil {
		c.tell(service, "LoadBalancerNotAssigned", err.Error())
	}
	wanted := map[netip.AddrPort][]netip.AddrPort{}
	for _, port := range service.Spec.Ports {
		if port.Protocol != "" && port.Protocol != v1.ProtocolTCP {
			c.tell(service, "ProtocolNotSupported", fmt.Sprintf("port %d: %s is not forwarded by this node, only TCP", port.Port, port.Protocol))
			continue
		}
		endpoints := Endpoints(slices, port.Name)
		for _, at := range Listen(service, port, c.nodeAddress, address) {
			wanted[at] = endpoints
		}
	}
	failures := c.apply(ctx, name, wanted)
	for _, failure := range failures {
		reason := "PortNotBound"
		if errors.Is(failure, syscall.EACCES) {
			reason = "PortNotPermitted"
			failure = fmt.Errorf("%w: ports below 1024 need the right CAP_NET_BIND_SERVICE; choose another port", failure)
		}
		c.tell(service, reason, failure.Error())
	}
	return errors.Join(append(failures, c.writeAddress(ctx, service, address))...)
}

// apply makes the forwards of a Service what is wanted: listening address to endpoints.
func (c *Controller) apply(ctx context.Context, name types.NamespacedName, wanted map[netip.AddrPort][]netip.AddrPort) (failures []error) {
	present := c.forwards[name]
	for at, f := range present {
		if _, keep := wanted[at]; !keep {
			f.close()
			delete(present, at)
		}
	}
	if len(wanted) == 0 {
		delete(c.forwards, name)
		return nil
	}
	if present == nil {
		present = map[netip.AddrPort]*forward{}
		c.forwards[name] = present
	}
	for at, endpoints := range wanted {
		if present[at] == nil {
			present[at] = &forward{dialer: c.dialer, at: at}
		}
		if err := present[at].set(ctx, endpoints); err != nil {
			failures = append(failures, err)
		}
	}
	return failures
}

// writeAddress puts the load balancer's address into the Service's status, and takes ours out of a Service that is no LoadBalancer any more.
func (c *Controller) writeAddress(ctx context.Context, service *v1.Service, address netip.Addr) error {
	if c.balancers.inStatus(service) == address {
		return nil
	}
	ingress := []v1.LoadBalancerIngress{}
	if address.IsValid() {
		ingress = append(ingress, v1.LoadBalancerIngress{IP: address.String()})
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": service.UID},
		"status":   map[string]any{"loadBalancer": map[string]any{"ingress": ingress}},
	})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Services(service.Namespace).Patch(ctx, service.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// tell sends an event once in the life of the agent.
func (c *Controller) tell(service *v1.Service, reason, message string) {
	id := string(service.UID) + reason + message
	if !c.told[id] {
		c.told[id] = true
		c.recorder.Event(service, v1.EventTypeWarning, reason, message)
	}
}
