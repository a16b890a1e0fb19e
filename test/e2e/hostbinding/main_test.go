package hostbinding

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/test/framework/annex"
	hostframework "github.com/annex-dev/annex/test/framework/host"
)

const (
	installTimeout = 10 * time.Minute
	serviceName    = "annex"
	installedIn    = "annex-system"
)

var apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

// cluster is a host with Annex in it, for all tests of the package.
type cluster struct {
	dir   string
	host  *hostframework.Host
	annex *annex.Server
	port  int64
}

var installed *cluster

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "annex-hostbinding")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	c := &cluster{dir: dir}
	defer c.stop()
	if err := c.install(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	installed = c
	return m.Run()
}

func (c *cluster) stop() {
	if c.annex != nil {
		c.annex.Kill()
	}
	if c.host != nil {
		_ = c.host.Stop()
	}
}

// install starts a host, and Annex with the rights that it needs there.
func (c *cluster) install(ctx context.Context) (err error) {
	if c.host, err = hostframework.Run(ctx, filepath.Join(c.dir, "host"), hostframework.WithoutFsync(), hostframework.WithControllerManager("--resource-quota-sync-period=5s")); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.host.Config())
	if err != nil {
		return err
	}
	if err := grantAnnex(ctx, client); err != nil {
		return err
	}
	kubeconfig, err := c.credentials(c.dir)
	if err != nil {
		return err
	}
	c.annex, err = annex.Launch(ctx, filepath.Join(c.dir, "annex"), "--tls-san", serviceName+"."+installedIn+".svc",
		"--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)
	if err != nil {
		return err
	}
	return c.register(ctx, client)
}

// credentials returns the kubeconfig of Annex for the host, in dir.
func (c *cluster) credentials(dir string) (string, error) {
	config, err := c.host.ConfigFor("annex")
	if err != nil {
		return "", err
	}
	kubeconfig := filepath.Join(dir, "annex.kubeconfig")
	return kubeconfig, writeKubeconfig(kubeconfig, config)
}

// grantAnnex gives the user annex the least rights that it needs.
func grantAnnex(ctx context.Context, client kubernetes.Interface) error {
	subjects := []rbacv1.Subject{{Kind: "User", Name: "annex", APIGroup: rbacv1.GroupName}}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "annex-apiservices"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{apiServices.Group}, Resources: []string{apiServices.Resource}, Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"},
	}}}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, name := range []string{role.Name, "system:auth-delegator"} {
		if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "annex-" + name}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	_, err := client.RbacV1().RoleBindings("kube-system").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "annex-reader"}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "extension-apiserver-authentication-reader"},
	}, metav1.CreateOptions{})
	return err
}

// register makes the Service and the anchor, and waits until Annex has registered hostbindings.
func (c *cluster) register(ctx context.Context, client kubernetes.Interface) error {
	address, err := url.Parse(c.annex.URL())
	if err != nil {
		return err
	}
	if c.port, err = strconv.ParseInt(address.Port(), 10, 32); err != nil {
		return err
	}
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: installedIn}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := client.CoreV1().Services(installedIn).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost", Ports: []corev1.ServicePort{{Port: int32(c.port)}}},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	untyped, err := dynamic.NewForConfig(c.host.Config())
	if err != nil {
		return err
	}
	if err := anchor(ctx, untyped, c.port); err != nil {
		return err
	}
	last := "was never read"
	if err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		got, err := untyped.Resource(apiServices).Get(ctx, "v1alpha1.annex.dev", metav1.GetOptions{})
		if err != nil {
			last = err.Error()
			return false, nil
		}
		conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
		last = fmt.Sprint(conditions)
		for _, condition := range conditions {
			if state, ok := condition.(map[string]any); ok && state["type"] == "Available" && state["status"] == "True" {
				return true, nil
			}
		}
		return false, nil
	}); err != nil {
		return fmt.Errorf("waiting for the APIService of annex.dev: %w; %s\n%s", err, last, c.annex.Log())
	}
	return nil
}

// anchor makes the one APIService that a person makes.
func anchor(ctx context.Context, client dynamic.Interface, port int64) error {
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1alpha1.tenancy.kcp.io"},
		"spec": map[string]any{
			"group": "tenancy.kcp.io", "version": "v1alpha1", "groupPriorityMinimum": int64(1000), "versionPriority": int64(100),
			"service": map[string]any{"namespace": installedIn, "name": serviceName, "port": port},
		},
	}}
	_, err := client.Resource(apiServices).Create(ctx, service, metav1.CreateOptions{})
	return err
}

func writeKubeconfig(path string, c *rest.Config) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["host"] = &clientcmdapi.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData}
	config.AuthInfos["user"] = &clientcmdapi.AuthInfo{ClientCertificateData: c.CertData, ClientKeyData: c.KeyData}
	config.Contexts["host"] = &clientcmdapi.Context{Cluster: "host", AuthInfo: "user"}
	config.CurrentContext = "host"
	return clientcmd.WriteToFile(*config, path)
}
