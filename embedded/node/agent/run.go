package agent

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/log"
	vkslog "github.com/virtual-kubelet/virtual-kubelet/log/slog"
	"github.com/virtual-kubelet/virtual-kubelet/node"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"servicefailover.dev/embedded/node/network"
	"servicefailover.dev/embedded/node/pods"
	"servicefailover.dev/embedded/node/process"
	"servicefailover.dev/embedded/node/service"
)

const (
	firstPodAddress = 10 // the addresses before are the node's
	podWorkers      = 4
	// shutdownGrace is the longest that pods are waited for when the agent is told to end; the supervisor waits 3 s for the agent.
	shutdownGrace = 2500 * time.Millisecond
)

// Main is the command "node-agent --config FILE". It gives the exit code.
func Main(args []string) int {
	flags := flag.NewFlagSet("node-agent", flag.ContinueOnError)
	file := flags.String("config", "", "configuration file (JSON)")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	slog.SetDefault(logger)
	klog.SetSlogLogger(logger)
	log.L = vkslog.FromSlog(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, err := ReadConfig(*file)
	if err == nil {
		err = run(ctx, config)
	}
	if err != nil && ctx.Err() == nil {
		logger.Error("node agent ends", "error", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, c *Config) error {
	began := time.Now()
	records := filepath.Join(c.StateDir, "processes")
	if err := process.KillLeftovers(records, func(mark string) bool { return strings.HasPrefix(mark, pods.MarkPrefix(c.StateDir)) }); err != nil {
		return err
	}
	starter, err := process.NewStarter(records)
	if err != nil {
		return err
	}
	dialer := network.NewDialer(c.mapping)
	client, err := newClient(c.Kubeconfig, dialer)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(c.CAFile)
	if err != nil {
		return err
	}
	addresses, err := network.OpenAddresses(filepath.Join(c.StateDir, "addresses.json"), c.podCIDR, firstPodAddress)
	if err != nil {
		return err
	}
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	recorder := broadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: "kubelet", Host: c.NodeName})

	ownPods := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", c.NodeName).String()
	}))
	cluster := informers.NewSharedInformerFactory(client, 0)
	provider := &pods.Provider{
		Client: client, Pods: ownPods.Core().V1().Pods().Lister(), Services: cluster.Core().V1().Services().Lister(), Recorder: recorder,
		Dialer: dialer, Starter: starter, Addresses: addresses, Images: c.Images, NodeAddress: c.NodeAddress,
		APIServer: c.APIServer, CA: ca, StateDir: c.StateDir, Allocatable: c.capacity,
	}
	// The server first: a port that somebody holds must be an error at once, and the API server needs its proxy.
	server, err := startServer(c, dialer, provider)
	if err != nil {
		return err
	}
	defer server.close()
	services, err := service.NewController(client, cluster, recorder, dialer, c.nodeAddress, c.loadBalancers)
	if err != nil {
		return err
	}
	controller, err := newPodController(client, ownPods, provider, recorder)
	if err != nil {
		return err
	}
	if err := watchGone(ctx, ownPods.Core().V1().Pods().Informer(), provider); err != nil {
		return err
	}
	if err := waitForAPI(ctx, client, c.NodeName); err != nil {
		return err
	}
	broadcaster.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: client.CoreV1().Events("")})
	for _, factory := range []informers.SharedInformerFactory{ownPods, cluster} {
		factory.Start(ctx.Done())
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return fmt.Errorf("no list of %s before the end", kind)
			}
		}
	}
	store := ownPods.Core().V1().Pods().Informer().GetStore()
	known := map[types.UID]bool{}
	for _, object := range store.List() {
		known[object.(*v1.Pod).UID] = true
	}
	if err := provider.CleanUp(func(uid types.UID) bool { return known[uid] }); err != nil {
		return err
	}
	servicesDone := make(chan error, 1)
	go func() { servicesDone <- services.Run(ctx) }()
	go func() { _ = controller.Run(ctx, podWorkers) }() // its error is read from Err below
	select {
	case <-controller.Ready():
	case <-controller.Done():
		return controller.Err()
	}
	go keepRegistered(ctx, client, c, func(err error) { slog.Warn("node not registered, will try again", "error", err) })
	slog.Info("node agent ready", "node", c.NodeName, "after", time.Since(began).Round(time.Millisecond))

	select {
	case <-ctx.Done():
	case err = <-servicesDone:
	case <-controller.Done():
		err = controller.Err()
	}
	slog.Info("node agent stops its pods")
	provider.Shutdown(shutdownGrace)
	return err
}

func newClient(kubeconfig string, dialer *network.Dialer) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.Dial = dialer.DialContext
	config.QPS = -1 // the API server's own priority and fairness is the limit
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return kubernetes.NewForConfig(rest.AddUserAgent(config, "node-agent"))
}

// newPodController makes virtual-kubelet's pod controller. Its factory for Secrets, ConfigMaps and Services is never started: the node may not
// list them, and environments are resolved by the provider.
func newPodController(
	client kubernetes.Interface, ownPods informers.SharedInformerFactory, provider *pods.Provider, recorder record.EventRecorder,
) (*node.PodController, error) {
	unused := informers.NewSharedInformerFactory(client, 0).Core().V1()
	limiter := func() workqueue.TypedRateLimiter[any] {
		return workqueue.NewTypedItemExponentialFailureRateLimiter[any](5*time.Millisecond, 5*time.Second)
	}
	return node.NewPodController(node.PodControllerConfig{
		PodClient: provider.PodClient(), PodInformer: ownPods.Core().V1().Pods(), EventRecorder: quiet{recorder}, Provider: provider,
		SecretInformer: unused.Secrets(), ConfigMapInformer: unused.ConfigMaps(), ServiceInformer: unused.Services(),
		SyncPodsFromKubernetesRateLimiter: limiter(), DeletePodsFromKubernetesRateLimiter: limiter(), SyncPodStatusFromProviderRateLimiter: limiter(),
		SkipDownwardAPIResolution: true,
	})
}

// quiet drops virtual-kubelet's own events: the pods tell what happens to them, in a kubelet's words.
type quiet struct{ record.EventRecorder }

func (q quiet) Event(object runtime.Object, kind, reason, message string) {
	if !strings.HasPrefix(reason, "Provider") {
		q.EventRecorder.Event(object, kind, reason, message)
	}
}

// watchGone tells the provider of pods whose object went away unseen (a watch that was interrupted) or whose name another pod took.
func watchGone(ctx context.Context, informer cache.SharedIndexInformer, provider *pods.Provider) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			if old, now := before.(*v1.Pod), after.(*v1.Pod); old.UID != now.UID {
				provider.Gone(ctx, old.UID)
				_ = provider.CreatePod(ctx, now.DeepCopy())
			}
		},
		DeleteFunc: func(object any) {
			if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = tombstone.Obj
			}
			if pod, ok := object.(*v1.Pod); ok {
				provider.Gone(ctx, pod.UID)
			}
		},
	})
	return err
}

// waitForAPI returns when the API server answers and grants what the agent needs. Informers that start too early would wait out their back-off.
func waitForAPI(ctx context.Context, client kubernetes.Interface, nodeName string) error {
	one := metav1.ListOptions{Limit: 1}
	own := metav1.ListOptions{Limit: 1, FieldSelector: "spec.nodeName=" + nodeName}
	var last string
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := client.CoreV1().Pods("").List(attempt, own)
		if err == nil {
			_, err = client.CoreV1().Services("").List(attempt, one)
		}
		if err == nil {
			_, err = client.DiscoveryV1().EndpointSlices("").List(attempt, one)
		}
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if err.Error() != last {
			last = err.Error()
			slog.Info("waiting for the API server", "reason", last)
		}
		sleep(ctx, 50*time.Millisecond)
	}
}
