package ecosystem

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
	"github.com/annex-dev/annex/test/framework/projects"
)

const (
	// home is the namespace of both controllers.
	home = "cert-manager"
	// apps is a namespace of a team that uses them.
	apps = "apps"
	// lease is short, because the successor of a killed controller waits for the end of its lease.
	lease = "4s"
)

var (
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	requests     = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificaterequests"}
)

// TestControllers runs the controllers of cert-manager and trust-manager in a workspace: first at the URL of the workspace and as its
// administrator, then as in a cluster, at the URL of the server with tokens of ServiceAccounts that may do no more than they need. In between,
// the server and the controllers are killed.
func TestControllers(t *testing.T) {
	port, err := process.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The controllers keep the URL over restarts of the server.
	server := annex.Start(t, "--secure-port", strconv.Itoa(port))
	path, _ := server.NewWorkspace("root", "team", "universal")
	other, _ := server.NewWorkspace("root", "other", "universal")
	p := &pki{t: t, server: server, path: path}
	for _, workspace := range []string{path, other} {
		p.prepare(workspace)
	}
	p.typed, p.untyped = annex.Clients(t, server.Workspace(path))
	p.issueAs(other, "never")

	// As an administrator.
	admin := filepath.Join(t.TempDir(), "kubeconfig")
	config := server.Workspace(path)
	writeKubeconfig(t, admin, config.Host, config.CAFile, config.CAData, &api.AuthInfo{Token: config.BearerToken, ClientCertificate: config.CertFile, ClientCertificateData: config.CertData, ClientKey: config.KeyFile, ClientKeyData: config.KeyData})
	certManager, trustManager := p.run("cert-manager", admin), p.run("trust-manager", admin)
	p.apply("testdata/controllers/authority.yaml")
	p.issueAs(path, "first")
	first := p.issued("first", nil)
	p.trusted(first.authority)
	p.renewed()

	// A crash of the server. A leader that cannot renew its lease ends, and is started again.
	server.Kill()
	server.Start()
	p.issueAs(path, "second")
	if second := p.issued("second", nil); second.authority != first.authority {
		t.Error("after a crash of the server, another authority signs")
	}

	// A crash of the controllers. What happens meanwhile is seen by their successors, which have other credentials.
	certManager.kill()
	trustManager.kill()
	p.issueAs(path, "third")
	if err := p.typed.CoreV1().Secrets(apps).Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := p.typed.CoreV1().ConfigMaps(apps).Delete(t.Context(), "trusted", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	certManager, trustManager = p.run("cert-manager", p.inCluster("cert-manager")), p.run("trust-manager", p.inCluster("trust-manager"))
	p.issued("third", nil)
	p.issued("first", first.leaf)
	p.trusted(first.authority)

	// Garbage collection takes the requests of a certificate, and cert-manager makes no new ones.
	if err := p.untyped.Resource(certificates).Namespace(apps).Delete(t.Context(), "third", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(ctx context.Context) error {
		list, err := p.untyped.Resource(requests).Namespace(apps).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, item := range list.Items {
			if strings.HasPrefix(item.GetName(), "third-") {
				return fmt.Errorf("%s is still there", item.GetName())
			}
		}
		return nil
	})
	p.untouched(other)
	certManager.kill()
	trustManager.kill()
}

// pki is a workspace with an authority.
type pki struct {
	t       *testing.T
	server  *annex.Server
	path    string
	typed   kubernetes.Interface
	untyped dynamic.Interface
}

// prepare installs in a workspace what comes before the controllers: definitions, namespaces, and what ServiceAccounts may do.
func (p *pki) prepare(workspace string) {
	p.t.Helper()
	var files []string
	for _, name := range []string{"cert-manager", "trust-manager"} {
		for _, path := range projects.Named(p.t, name).Paths(p.t) {
			files = append(files, "-f", path)
		}
	}
	p.server.Kubectl(workspace, "", append([]string{"apply", "--server-side"}, files...)...)
	p.server.Kubectl(workspace, "", "wait", "--for=condition=Established", "crd", "--all", "--timeout=120s")
	p.server.Kubectl(workspace, "", "create", "namespace", home)
	p.server.Kubectl(workspace, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+apps+", labels: {trusts: \"yes\"}}\n", "create", "-f", "-")
	p.server.Kubectl(workspace, "", "apply", "-f", "testdata/controllers/rights.yaml")
}

func (p *pki) apply(file string) {
	p.t.Helper()
	p.server.Kubectl(p.path, "", "apply", "--server-side", "-f", file)
}

// issueAs asks in a workspace for a certificate. more are further fields of its spec.
func (p *pki) issueAs(workspace, name string, more ...string) {
	p.t.Helper()
	p.server.Kubectl(workspace, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: %[1]s, namespace: %[2]s}
spec: {secretName: %[1]s, dnsNames: [%[1]s.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: authority, kind: ClusterIssuer}%[3]s}
`, name, apps, strings.Join(append([]string{""}, more...), ", ")), "apply", "-f", "-")
}

// pair is a certificate, with the PEM of the authority that has signed it.
type pair struct {
	leaf      *x509.Certificate
	authority string
}

// issued waits for a certificate in apps other than before, and checks its chain.
func (p *pki) issued(name string, before *x509.Certificate) (issued pair) {
	p.t.Helper()
	annex.Eventually(p.t, func(ctx context.Context) error {
		secret, err := p.typed.CoreV1().Secrets(apps).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		block, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
		if block == nil || secret.Type != corev1.SecretTypeTLS {
			return fmt.Errorf("secret %s is a %s with %q", name, secret.Type, secret.Data[corev1.TLSCertKey])
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		if before != nil && leaf.SerialNumber.Cmp(before.SerialNumber) == 0 {
			return errors.New("it is the same certificate as before")
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
			return errors.New("there is no authority in the secret")
		}
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name + ".example.com", Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			return err
		}
		issued = pair{leaf: leaf, authority: string(secret.Data["ca.crt"])}
		return p.ready(ctx, name)
	})
	return issued
}

// ready returns an error unless the status of a certificate says that it is Ready.
func (p *pki) ready(ctx context.Context, name string) error {
	got, err := p.untyped.Resource(certificates).Namespace(apps).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
	for _, condition := range conditions {
		if c, _ := condition.(map[string]any); c["type"] == "Ready" && c["status"] == "True" {
			return nil
		}
	}
	return fmt.Errorf("certificate %s is not ready: %v", name, conditions)
}

// trusted waits until the Bundle has brought the authority to apps, and to no other namespace.
func (p *pki) trusted(authority string) {
	p.t.Helper()
	annex.Eventually(p.t, func(ctx context.Context) error {
		got, err := p.typed.CoreV1().ConfigMaps("").List(ctx, metav1.ListOptions{LabelSelector: "trust.cert-manager.io/bundle=trusted"})
		if err != nil {
			return err
		}
		if len(got.Items) != 1 || got.Items[0].Namespace != apps || strings.TrimSpace(got.Items[0].Data["ca.crt"]) != strings.TrimSpace(authority) {
			return fmt.Errorf("config maps of the bundle are %v", got.Items)
		}
		return nil
	})
}

// renewed waits until a certificate is renewed because its time has come: 5 seconds after it was issued.
func (p *pki) renewed() {
	p.t.Helper()
	p.issueAs(p.path, "brief", "duration: 1h", "renewBefore: 59m55s")
	before := p.issued("brief", nil)
	next := p.issued("brief", before.leaf)
	if got := next.leaf.NotAfter.Sub(next.leaf.NotBefore); got != time.Hour {
		p.t.Errorf("the certificate lasts for %s", got)
	}
	if err := p.untyped.Resource(certificates).Namespace(apps).Delete(p.t.Context(), "brief", metav1.DeleteOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// untouched fails the test if somebody did anything in a workspace where no controller runs.
func (p *pki) untouched(workspace string) {
	p.t.Helper()
	typed, untyped := annex.Clients(p.t, p.server.Workspace(workspace))
	got, err := untyped.Resource(certificates).Namespace(apps).Get(p.t.Context(), "never", metav1.GetOptions{})
	if err != nil || got.Object["status"] != nil {
		p.t.Errorf("in another workspace: %v, %v", got, err)
	}
	if _, err := typed.CoreV1().Secrets(apps).Get(p.t.Context(), "never", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		p.t.Errorf("in another workspace there is a certificate: %v", err)
	}
	if leases, err := typed.CoordinationV1().Leases("").List(p.t.Context(), metav1.ListOptions{}); err != nil || len(leases.Items) > 0 {
		p.t.Errorf("in another workspace there are leases %v: %v", leases, err)
	}
}

// inCluster writes a kubeconfig that says what a pod knows: the URL of the server without a path, its CA, and the file with the token of
// the pod's ServiceAccount.
func (p *pki) inCluster(account string) string {
	p.t.Helper()
	dir := p.t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(strings.TrimSpace(p.server.Kubectl(p.path, "", "create", "token", account, "-n", home))), 0o600); err != nil {
		p.t.Fatal(err)
	}
	config := p.server.Config(annex.ContextBase)
	path := filepath.Join(dir, "kubeconfig")
	writeKubeconfig(p.t, path, p.server.URL(), config.CAFile, config.CAData, &api.AuthInfo{TokenFile: token})
	return path
}

func writeKubeconfig(t *testing.T, path, url, caFile string, caData []byte, user *api.AuthInfo) {
	t.Helper()
	const name = "ecosystem"
	if err := clientcmd.WriteToFile(api.Config{
		Clusters:       map[string]*api.Cluster{name: {Server: url, CertificateAuthority: caFile, CertificateAuthorityData: caData}},
		AuthInfos:      map[string]*api.AuthInfo{name: user},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path); err != nil {
		t.Fatal(err)
	}
}

// supervised is a controller that is started again when it ends, as a kubelet does.
type supervised struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// run runs a controller until kill, or until the test ends.
func (p *pki) run(name, kubeconfig string) *supervised {
	p.t.Helper()
	binary, err := annex.Program("ecosystem-controllers")
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(p.t.Context())
	s := &supervised{stop: stop, ended: make(chan struct{})}
	dir := p.t.TempDir()
	go func() {
		defer close(s.ended)
		for n := 0; ctx.Err() == nil; n++ {
			log := filepath.Join(dir, fmt.Sprintf("log-%d", n))
			child, err := process.Start(binary, []string{name, "--kubeconfig", kubeconfig, "--namespace", home, "--lease", lease}, log)
			if err != nil {
				p.t.Errorf("starting %s: %v", name, err)
				return
			}
			select {
			case <-child.Done():
				time.Sleep(100 * time.Millisecond)
			case <-ctx.Done():
				child.Kill()
			}
			if p.t.Failed() {
				p.t.Logf("%s, run %d: %s", name, n, child.Tail())
			}
		}
	}()
	p.t.Cleanup(s.kill)
	return s
}

// kill ends the controller at once.
func (s *supervised) kill() {
	s.stop()
	<-s.ended
}
