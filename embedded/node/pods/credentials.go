package pods

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"servicefailover.dev/embedded/node/network"
)

const (
	// tokenSeconds is the life that Kubernetes gives a pod's token. The API server recognises this number and lets such a token work for much
	// longer, for clients that read it once; the agent still renews it in time for those that read it again.
	tokenSeconds = 3607
	// renewAfter is the part of a token's life after which it is renewed.
	renewAfter = 0.8
)

// credentials writes the pod's kubeconfig and keeps it fresh until the context ends. false: the pod was told to stop before there was one.
func (r *runner) credentials(ctx context.Context) bool {
	if !r.wantsCredentials() {
		return true
	}
	reported := false
	for pause := writeRetryFirst; ; pause = min(2*pause, writeRetryMax) {
		life, err := r.writeKubeconfig(ctx)
		if err == nil {
			go r.renew(ctx, life)
			return true
		}
		// The first refusals are usual: the API server learns a little later than the agent which ServiceAccounts this node may use.
		if pause == writeRetryMax && !reported {
			reported = true
			r.provider.Recorder.Event(r.spec(), v1.EventTypeWarning, "FailedToken", err.Error())
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

func (r *runner) wantsCredentials() bool {
	pod := r.spec()
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if usesServiceAccount(&list[i]) {
				return true
			}
		}
	}
	return false
}

func (r *runner) renew(ctx context.Context, life time.Duration) {
	next := time.Duration(float64(life) * renewAfter)
	for {
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return
		}
		life, err := r.writeKubeconfig(ctx)
		if err != nil {
			next = 10 * time.Second
			continue
		}
		next = time.Duration(float64(life) * renewAfter)
	}
}

// writeKubeconfig asks for a token bound to this pod and writes it; it gives the token's life.
func (r *runner) writeKubeconfig(ctx context.Context) (time.Duration, error) {
	pod := r.spec()
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	account := pod.Spec.ServiceAccountName
	answer, err := r.provider.Client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("token of ServiceAccount %s/%s: %w", pod.Namespace, account, err)
	}
	content, err := clientcmd.Write(kubeconfig(r.provider.APIServer, r.provider.CA, answer.Status.Token, pod.Namespace))
	if err != nil {
		return 0, err
	}
	return time.Until(answer.Status.ExpirationTimestamp.Time), network.WriteFile(r.kubeconfig(), content)
}

func kubeconfig(server string, ca []byte, token, namespace string) clientcmdapi.Config {
	const name = "pod"
	return clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name, Namespace: namespace}},
		CurrentContext: name,
	}
}
