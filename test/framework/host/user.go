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

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// User is somebody with credentials for a host, and with kubectl and helm.
type User struct {
	tb         testing.TB
	host       *Host
	subject    rbacv1.Subject
	config     *rest.Config
	kubeconfig string
}

// User returns somebody by that name, with a client certificate, who may do
// nothing until [User.Grant].
func (h *Host) User(tb testing.TB, name string, groups ...string) *User {
	tb.Helper()
	config, err := h.ConfigFor(name, groups...)
	if err != nil {
		tb.Fatal(err)
	}
	return h.newUser(tb, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}, config)
}

// ServiceAccount returns a ServiceAccount of that name as a user with a bearer
// token. It is made when it is missing; its namespace is not.
func (h *Host) ServiceAccount(tb testing.TB, namespace, name string) *User {
	tb.Helper()
	client := h.client(tb).CoreV1().ServiceAccounts(namespace)
	if _, err := client.Create(tb.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		tb.Fatal(err)
	}
	token, err := client.CreateToken(tb.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	config := rest.AnonymousClientConfig(h.Config())
	config.BearerToken, config.QPS = token.Status.Token, -1
	return h.newUser(tb, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}, config)
}

// Admin returns a user with the credentials of [Host.Config].
func (h *Host) Admin(tb testing.TB) *User {
	tb.Helper()
	return h.newUser(tb, rbacv1.Subject{}, h.Config())
}

func (h *Host) client(tb testing.TB) kubernetes.Interface {
	tb.Helper()
	client, err := kubernetes.NewForConfig(h.config)
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

func (h *Host) newUser(tb testing.TB, subject rbacv1.Subject, config *rest.Config) *User {
	tb.Helper()
	u := &User{tb: tb, host: h, subject: subject, config: config, kubeconfig: filepath.Join(tb.TempDir(), "kubeconfig")}
	kubeconfig := api.Config{
		Clusters: map[string]*api.Cluster{contextName: {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*api.AuthInfo{contextName: {
			ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
		}},
		Contexts:       map[string]*api.Context{contextName: {Cluster: contextName, AuthInfo: contextName}},
		CurrentContext: contextName,
	}
	if err := clientcmd.WriteToFile(kubeconfig, u.kubeconfig); err != nil {
		tb.Fatal(err)
	}
	return u
}

// Grant binds a ClusterRole of the host to the user until the test ends.
func (u *User) Grant(clusterRole string) {
	u.tb.Helper()
	client := u.host.client(u.tb).RbacV1().ClusterRoleBindings()
	binding, err := client.Create(u.tb.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-" + u.subject.Name + "-"},
		Subjects:   []rbacv1.Subject{u.subject},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
	}, metav1.CreateOptions{})
	if err != nil {
		u.tb.Fatal(err)
	}
	u.tb.Cleanup(func() {
		if err := client.Delete(context.WithoutCancel(u.tb.Context()), binding.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			u.tb.Errorf("taking the ClusterRole %s from %s: %v", clusterRole, u.subject.Name, err)
		}
	})
}

// Config returns the credentials for a path on the host, "" for the host
// itself. The caller owns them.
func (u *User) Config(path string) *rest.Config {
	config := rest.CopyConfig(u.config)
	config.Host += path
	return config
}

// Kubeconfig returns the path of a kubeconfig with one context, for the host.
func (u *User) Kubeconfig() string { return u.kubeconfig }

// Command returns kubectl, or another program of bin/ that takes its flags, as
// the user at a path on the host, "" for the host itself. It ends with the test.
func (u *User) Command(program, path string, args ...string) *exec.Cmd {
	u.tb.Helper()
	binary, err := Binary(program)
	if err != nil {
		u.tb.Fatal(err)
	}
	home := filepath.Dir(u.kubeconfig)
	server := "--server"
	if program == "helm" {
		server = "--kube-apiserver"
	}
	command := exec.CommandContext(u.tb.Context(), binary, append([]string{"--kubeconfig", u.kubeconfig, server, u.config.Host + path}, args...)...)
	command.Env = append(os.Environ(), "HOME="+home)
	return command
}

// Try runs a program as [User.Command] does and returns what it printed on
// stdout. The error holds what it printed on stderr, too.
func (u *User) Try(program, path, stdin string, args ...string) (string, error) {
	u.tb.Helper()
	command := u.Command(program, path, args...)
	command.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s as %q at %q: %w\n%s%s", program, strings.Join(args, " "), u.subject.Name, path, err, &out, &errs)
	}
	return out.String(), nil
}

// Kubectl runs kubectl as [User.Try] does and fails the test when it fails.
func (u *User) Kubectl(path, stdin string, args ...string) string {
	u.tb.Helper()
	out, err := u.Try("kubectl", path, stdin, args...)
	if err != nil {
		u.tb.Fatal(err)
	}
	return out
}

// Helm runs helm as [User.Try] does and fails the test when it fails.
func (u *User) Helm(path string, args ...string) string {
	u.tb.Helper()
	out, err := u.Try("helm", path, "", args...)
	if err != nil {
		u.tb.Fatal(err)
	}
	return out
}
