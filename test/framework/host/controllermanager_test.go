package host

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// eventually waits until the condition holds; what is a few words for the failure.
func eventually(t *testing.T, what string, condition func(context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 2*time.Minute, true, condition); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

func TestStart_WithControllerManager(t *testing.T) {
	h := Start(t, WithControllerManager(), WithPodNetwork())
	client, err := kubernetes.NewForConfig(h.Config())
	if err != nil {
		t.Fatal(err)
	}
	namespace := func(t *testing.T, name string, labels map[string]string) {
		t.Helper()
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
		if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the namespace "+name+" has a ServiceAccount", func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
			return err == nil, nil
		})
	}

	t.Run("a token of a ServiceAccount and the published CA are credentials", func(t *testing.T) {
		token, err := client.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ca, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		own, err := kubernetes.NewForConfig(&rest.Config{
			Host: h.Config().Host, BearerToken: token.Status.Token,
			TLSClientConfig: rest.TLSClientConfig{CAData: []byte(ca.Data["ca.crt"])},
		})
		if err != nil {
			t.Fatal(err)
		}
		review, err := own.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := review.Status.UserInfo.Username, "system:serviceaccount:default:default"; got != want {
			t.Errorf("the token belongs to %q, want %q", got, want)
		}
	})

	t.Run("a Deployment makes pods and takes them with it, and a deleted namespace goes", func(t *testing.T) {
		namespace(t, "work", nil)
		labels := map[string]string{"app": "hello"}
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "hello"}, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "hello", Image: "hello"}}},
			},
		}}
		if _, err := client.AppsV1().Deployments("work").Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		pods := func(want int) func(context.Context) (bool, error) {
			return func(ctx context.Context) (bool, error) {
				list, err := client.CoreV1().Pods("work").List(ctx, metav1.ListOptions{})
				return err == nil && len(list.Items) == want, err
			}
		}
		eventually(t, "there is a pod", pods(1))
		background := metav1.DeletePropagationBackground
		if err := client.AppsV1().Deployments("work").Delete(t.Context(), "hello", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the pod is collected", pods(0))
		if err := client.CoreV1().Namespaces().Delete(t.Context(), "work", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the namespace is gone", func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().Namespaces().Get(ctx, "work", metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	})

	t.Run("Pod Security is enforced by the host", func(t *testing.T) {
		namespace(t, "strict", map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "lax"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "hello"}}}}
		_, err := client.CoreV1().Pods("strict").Create(t.Context(), pod, metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) {
			t.Errorf("creating a pod without a security context gives %v, want Forbidden by PodSecurity", err)
		}
	})

	t.Run("the aggregator reaches a Service the way that RoutePods says", func(t *testing.T) {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"path":%q}`, r.URL.Path)
		}))
		defer server.Close()
		asked := make(chan string, 100)
		if err := h.RoutePods(func(ctx context.Context, network, address string) (net.Conn, error) {
			asked <- address
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}); err != nil {
			t.Fatal(err)
		}
		address := registerAPIService(t, client)
		var answer []byte
		eventually(t, "the group is served from here", func(ctx context.Context) (bool, error) {
			var err error
			answer, err = client.Discovery().RESTClient().Get().AbsPath("/apis/far.example.com/v1/greeting").DoRaw(ctx)
			return err == nil, nil
		})
		if got, want := string(answer), `{"path":"/apis/far.example.com/v1/greeting"}`; got != want {
			t.Errorf("the answer is %s, want %s", got, want)
		}
		if got := <-asked; got != address {
			t.Errorf("kube-apiserver asked for %s, want the Service's own address %s", got, address)
		}
	})
}

func TestRoutePods_WantsTheOption(t *testing.T) {
	if err := new(Host).RoutePods(nil); err == nil || !strings.Contains(err.Error(), "WithPodNetwork") {
		t.Errorf("error is %v, want one that names the option", err)
	}
}

// registerAPIService makes an APIService with its Service and endpoint, for without one the
// aggregator does not even try. It returns the address of the Service.
func registerAPIService(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	service, err := client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "far"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	port, ready := int32(8443), true
	if _, err := client.DiscoveryV1().EndpointSlices("default").Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "far", Labels: map[string]string{discoveryv1.LabelServiceName: "far"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new(string), Port: &port}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.7"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	apiService := `{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.far.example.com"}, "spec": {
		"group": "far.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10,
		"insecureSkipTLSVerify": true, "service": {"namespace": "default", "name": "far", "port": 443}}}`
	err = client.Discovery().RESTClient().Post().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices").
		SetHeader("Content-Type", "application/json").Body([]byte(apiService)).Do(t.Context()).Error()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(service.Spec.ClusterIP, "443")
}
