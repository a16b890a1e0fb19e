package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/test/framework/annex"
)

// kubectlWith runs kubectl with nothing but a kubeconfig and returns all it printed.
func kubectlWith(t *testing.T, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	binary, err := annex.Program("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Env = append(os.Environ(), "HOME="+t.TempDir(), "KUBECONFIG="+kubeconfig)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err = command.Run()
	return out.String(), err
}

// reads fails the test unless kubectl reads the namespaces at where a kubeconfig leads.
func reads(t *testing.T, kubeconfig string, args ...string) {
	t.Helper()
	annex.Eventually(t, func(context.Context) error {
		out, err := kubectlWith(t, kubeconfig, append(args, "get", "namespaces", "-o", "name")...)
		if err == nil && !strings.Contains(out, "namespace/default") {
			err = errors.New("no namespace default")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		return nil
	})
}

// makeKubeconfig runs annex kubeconfig as somebody with a kubeconfig and returns the path of what it wrote on stdout.
func makeKubeconfig(t *testing.T, kubeconfig string, args ...string) string {
	t.Helper()
	out, err := annexCommand(t, kubeconfig, append([]string{"kubeconfig"}, args...)...)
	if err != nil || strings.Contains(out, "Warning") {
		t.Fatalf("annex kubeconfig %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	file := filepath.Join(t.TempDir(), "made")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestKubeconfig_ThroughTheHost(t *testing.T) {
	dev := newUser(t, "kubeconfig-dev", workspaceRule())
	dev.kubectl("", fmt.Sprintf(workspaceManifest, "kc"), "create", "-f", "-")
	annex.Eventually(t, ready(dev, "kc"))

	// By its name, from the host; then by name from there; and put into the user's own file.
	reads(t, makeKubeconfig(t, dev.kubeconfig, "--workspace", "kc"))
	parent := makeKubeconfig(t, dev.kubeconfig, "--workspace", "root:kc", "--flatten")
	if out, err := kubectlWith(t, parent, "create", "-f", manifestFile(t, fmt.Sprintf(workspaceManifest, "below"))); err != nil {
		t.Fatal(out, err)
	}
	annex.Eventually(t, func(context.Context) error {
		out, err := kubectlWith(t, parent, "wait", "--for=jsonpath={.status.phase}=Ready", "workspace/below", "--timeout=1s")
		if err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		return nil
	})
	child := makeKubeconfig(t, parent, "--workspace", "below")
	reads(t, child)
	if out, err := annexCommand(t, dev.kubeconfig, "kubeconfig", "--workspace", "root:kc", "-o", dev.kubeconfig, "--set-current"); err != nil {
		t.Fatal(out, err)
	}
	reads(t, dev.kubeconfig)
	reads(t, dev.kubeconfig, "--context", "root:kc")
	config, err := clientcmd.LoadFromFile(dev.kubeconfig)
	if err != nil || config.Contexts["host"] == nil || config.Contexts["root:kc"].AuthInfo != "user" || len(config.AuthInfos) != 1 {
		t.Errorf("the user's file: %+v, %v", config, err)
	}

	// What cannot be reached is made all the same, with a warning that says what is missing.
	stranger, nobody := newUser(t, "kubeconfig-stranger", workspaceRule()), newUser(t, "kubeconfig-nobody")
	for name, test := range map[string]struct {
		user *user
		want string
	}{
		"whom the workspace does not know": {stranger, "system:kcp:workspace:access"},
		"whom the host does not let pass":  {nobody, "workspaces/proxy"},
	} {
		out, err := annexCommand(t, test.user.kubeconfig, "kubeconfig", "--workspace", "root:kc")
		if err != nil || !strings.Contains(out, "Warning: ") || !strings.Contains(out, test.want) || !strings.Contains(out, "kind: Config") {
			t.Errorf("somebody %s: %v\n%s", name, err, out)
		}
	}
	if out, err := annexCommand(t, nobody.kubeconfig, "kubeconfig", "--workspace", "kc"); err == nil || !strings.Contains(out, "use its absolute path") {
		t.Errorf("a child that may not be read: %v\n%s", err, out)
	}
}

// Credentials that a program makes, and those of somebody who acts for another, go with the context.
func TestKubeconfig_KeepsHowOneLogsIn(t *testing.T) {
	server := installed.annex.For(t)
	path, _ := server.NewWorkspace("root", "logins", "")
	const robot, actor = "host:serviceaccount:default:login", "kubeconfig-actor"
	for name, user := range map[string]string{"robot": robot, "actor": actor} {
		server.Kubectl(path, "", "create", "clusterrolebinding", name, "--clusterrole=cluster-admin", "--user="+user)
	}
	token := installed.token(t, "login")
	grant(t, "login", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "default", Name: "login"}, workspaceRule())
	grant(t, actor, rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: actor}, workspaceRule())

	directory := t.TempDir()
	login := filepath.Join(directory, "login")
	script := "#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"" + token + "\"}}'\n"
	if err := os.WriteFile(login, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	admin := installed.host.Config()
	config := clientcmdapi.NewConfig()
	config.Clusters["host"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData}
	config.AuthInfos["login"] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: "./login", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}}
	config.AuthInfos["actor"] = &clientcmdapi.AuthInfo{ClientCertificateData: admin.CertData, ClientKeyData: admin.KeyData, Impersonate: actor}
	config.Contexts["login"] = &clientcmdapi.Context{Cluster: "host", AuthInfo: "login"}
	config.Contexts["actor"] = &clientcmdapi.Context{Cluster: "host", AuthInfo: "actor"}
	kubeconfig := filepath.Join(directory, "config")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}

	reads(t, makeKubeconfig(t, kubeconfig, "--context", "actor", "--workspace", path, "--copy-administrator-credentials"))
	made := makeKubeconfig(t, kubeconfig, "--context", "login", "--workspace", path)
	reads(t, made)
	text, err := os.ReadFile(made)
	if err != nil || bytes.Contains(text, []byte(token)) {
		t.Errorf("the token is in the kubeconfig: %v\n%s", err, text)
	}
	// The same login at Annex's own door.
	ca := filepath.Join(directory, "ca.crt")
	if err := os.WriteFile(ca, server.Config(annex.ContextBase).CAData, 0o600); err != nil {
		t.Fatal(err)
	}
	direct := makeKubeconfig(t, kubeconfig, "--context", "login", "--workspace", path, "--server", server.URL(), "--certificate-authority", ca)
	reads(t, direct)
	if text, err := os.ReadFile(direct); err != nil || !bytes.Contains(text, []byte(server.URL()+"/clusters/"+path)) {
		t.Errorf("the own door: %v\n%s", err, text)
	}
}

func TestKubeconfig_TheOwnDoorAndProviders(t *testing.T) {
	server := installed.annex.For(t)
	provider, _ := server.NewWorkspace("root", "kubeconfig-provider", "")
	consumer, _ := server.NewWorkspace("root", "kubeconfig-consumer", "")
	server.Kubectl(provider, export, "apply", "-f", "-")
	server.Kubectl(consumer, fmt.Sprintf(exportBinding, provider), "apply", "-f", "-")
	annex.Eventually(t, func(context.Context) error {
		_, stderr, err := server.TryKubectl(consumer, "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g}", "apply", "-f", "-")
		if err != nil {
			return fmt.Errorf("%s: %w", stderr, err)
		}
		return nil
	})
	const all = "--copy-administrator-credentials"
	reads(t, makeKubeconfig(t, server.Kubeconfig(), "--workspace", provider, all))
	reads(t, makeKubeconfig(t, server.Kubeconfig(), "--workspace", "kubeconfig-provider", all))
	reads(t, makeKubeconfig(t, server.Kubeconfig(), "--context", annex.ContextBase, "--workspace", provider, all))
	// Those of an administrator, here or on the host, are not copied without a word.
	for kubeconfig, group := range map[string]string{server.Kubeconfig(): "system:kcp:admin", installed.host.Kubeconfig(): "system:masters"} {
		if out, err := annexCommand(t, kubeconfig, "kubeconfig", "--workspace", provider); err == nil || !strings.Contains(out, group) || strings.Contains(out, "kind: Config") {
			t.Errorf("the credentials of a member of %s: %v\n%s", group, err, out)
		}
	}

	author := newUser(t, "kubeconfig-author", rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"apis.kcp.io"}, Resources: []string{"apiexports/proxy"}})
	server.Kubectl(provider, "", "create", "clusterrolebinding", "author", "--clusterrole=cluster-admin", "--user=kubeconfig-author")
	for name, kubeconfig := range map[string]string{
		"the own door": makeKubeconfig(t, server.Kubeconfig(), "--export", provider+":gadgets", all),
		"the host":     makeKubeconfig(t, author.kubeconfig, "--export", provider+":gadgets"),
	} {
		annex.Eventually(t, func(context.Context) error {
			out, err := kubectlWith(t, kubeconfig, "get", "gadgets", "-o", "name")
			if err == nil && !strings.Contains(out, "gadget.example.com/g") {
				err = errors.New("no gadget")
			}
			if err != nil {
				return fmt.Errorf("a provider through %s: %s: %w", name, out, err)
			}
			return nil
		})
	}
}

// manifestFile returns the path of a file that holds text.
func manifestFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
