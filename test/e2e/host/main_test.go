package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/test/framework/annex"
	hostframework "github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/stories"
)

const (
	installTimeout = 10 * time.Minute
	serviceName    = "annex"
	installedIn    = "annex-system"
	serviceHost    = serviceName + "." + installedIn + ".svc"
)

// groupVersions are what Annex registers with the host, the anchor first.
var groupVersions = []schema.GroupVersion{
	{Group: "tenancy.kcp.io", Version: "v1alpha1"}, {Group: "core.kcp.io", Version: "v1alpha1"}, {Group: "topology.kcp.io", Version: "v1alpha1"},
	{Group: "apis.kcp.io", Version: "v1alpha1"}, {Group: "apis.kcp.io", Version: "v1alpha2"}, {Group: "annex.dev", Version: "v1alpha1"},
}

// cluster is a host with Annex in it, for all tests of the package.
type cluster struct {
	dir   string
	host  *hostframework.Host
	annex *annex.Server
	// auditLog is the file to which Annex writes what it did.
	auditLog string
}

var installed *cluster

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "annex-host")
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
	if c.host, err = hostframework.Run(ctx, filepath.Join(c.dir, "host"), hostframework.WithoutFsync()); err != nil {
		return err
	}
	kubeconfig, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	policy := filepath.Join(c.dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(stories.AuditPolicy), 0o600); err != nil {
		return err
	}
	c.auditLog = filepath.Join(c.dir, "audit.log")
	c.annex, err = annex.Launch(ctx, filepath.Join(c.dir, "annex"), "--tls-san", serviceHost, "--audit-policy-file", policy, "--audit-log-path", c.auditLog,
		"--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)
	if err != nil {
		return err
	}
	return c.register(ctx)
}

// prepare gives Annex its rights on the host and returns the kubeconfig for it.
func (c *cluster) prepare(ctx context.Context) (kubeconfig string, err error) {
	client, err := kubernetes.NewForConfig(c.host.Config())
	if err != nil {
		return "", err
	}
	if err := grantAnnex(ctx, client); err != nil {
		return "", err
	}
	return c.credentials()
}

// credentials returns the kubeconfig of Annex for the host.
func (c *cluster) credentials() (kubeconfig string, err error) {
	config, err := c.host.ConfigFor("annex")
	if err != nil {
		return "", err
	}
	kubeconfig = filepath.Join(c.dir, "annex.kubeconfig")
	return kubeconfig, writeKubeconfig(kubeconfig, config)
}

// grantAnnex gives the user annex the least rights that an aggregated API server needs.
func grantAnnex(ctx context.Context, client kubernetes.Interface) error {
	subjects := []rbacv1.Subject{{Kind: "User", Name: "annex", APIGroup: rbacv1.GroupName}}
	_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "annex-delegator"}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "annex-apiservices"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"}, Verbs: []string{"get", "list", "watch", "create", "update", "delete"},
	}}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "annex-apiservices"}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "annex-apiservices"},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err = client.RbacV1().RoleBindings("kube-system").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "annex-reader"}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "extension-apiserver-authentication-reader"},
	}, metav1.CreateOptions{})
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

// user is somebody with an account on the host and kubectl.
type user struct {
	t          *testing.T
	config     *rest.Config
	kubeconfig string
}

// newUser returns a user of the host for whom rules, if any, are the only ones there.
func newUser(t *testing.T, name string, rules ...rbacv1.PolicyRule) *user {
	t.Helper()
	config, err := installed.host.ConfigFor(name)
	if err != nil {
		t.Fatal(err)
	}
	u := &user{t: t, config: config, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if err := writeKubeconfig(u.kubeconfig, config); err != nil {
		t.Fatal(err)
	}
	if len(rules) > 0 {
		grant(t, name, rbacv1.Subject{Kind: "User", Name: name, APIGroup: rbacv1.GroupName}, rules...)
	}
	return u
}

// grant gives subject rules on the host.
func grant(t *testing.T, name string, subject rbacv1.Subject, rules ...rbacv1.PolicyRule) {
	t.Helper()
	client, _ := annex.Clients(t, installed.host.Config())
	if _, err := client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: []rbacv1.Subject{subject},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// proxy returns the path on the host that leads into a workspace.
func proxy(workspace string) string {
	return "/apis/tenancy.kcp.io/v1alpha1/workspaces/" + workspace + "/proxy"
}

// command returns kubectl as the user, on the host or, unless that is empty, in a workspace.
func (u *user) command(workspace string, args ...string) *exec.Cmd {
	u.t.Helper()
	binary, err := annex.Program("kubectl")
	if err != nil {
		u.t.Fatal(err)
	}
	server := u.config.Host
	if workspace != "" {
		server += proxy(workspace)
	}
	home := filepath.Dir(u.kubeconfig)
	command := exec.CommandContext(u.t.Context(), binary, append([]string{"--kubeconfig", u.kubeconfig, "--server", server, "--cache-dir", filepath.Join(home, "cache")}, args...)...)
	command.Env = append(os.Environ(), "HOME="+home)
	return command
}

// try runs kubectl and returns all it printed.
func (u *user) try(workspace, stdin string, args ...string) (string, error) {
	u.t.Helper()
	command := u.command(workspace, args...)
	command.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// kubectl is try for what must succeed.
func (u *user) kubectl(workspace, stdin string, args ...string) string {
	u.t.Helper()
	out, err := u.try(workspace, stdin, args...)
	if err != nil {
		u.t.Fatalf("kubectl %s in %q: %v\n%s", strings.Join(args, " "), workspace, err, out)
	}
	return out
}
