package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

// What docs/clients.md says of ServiceAccounts, typed.
func TestKubectl_TokensOfServiceAccounts(t *testing.T) {
	server := annex.Start(t)
	path, cluster := server.NewWorkspace("root", "team", "")
	other, _ := server.NewWorkspace("root", "other", "")
	kubectl := kubectlIn(server, path)
	kubectl("", "create", "serviceaccount", "deployer")
	kubectl("", "create", "rolebinding", "deployer", "--clusterrole=edit", "--serviceaccount=default:deployer")
	token := strings.TrimSpace(kubectl("", "create", "token", "deployer", "--duration=24h"))
	// as runs kubectl with the token, at a URL of the server.
	as := func(token, url string, args ...string) (string, error) {
		out, stderr, err := server.TryKubectl(path, "", append([]string{"--token", token, "--server", server.URL() + url}, args...)...)
		return out + stderr, err
	}

	for _, url := range []string{"", "/clusters/" + path, "/clusters/" + cluster} {
		if out, err := as(token, url, "auth", "whoami"); err != nil || !strings.Contains(out, "system:serviceaccount:default:deployer") {
			t.Errorf("whoami at %q: %s, %v", url, out, err)
		}
		if out, err := as(token, url, "get", "configmaps"); err != nil || !strings.Contains(out, "kube-root-ca.crt") {
			t.Errorf("get at %q: %s, %v", url, out, err)
		}
		if out, err := as(token, url, "auth", "can-i", "create", "configmaps"); err != nil || strings.TrimSpace(out) != "yes" {
			t.Errorf("can-i at %q: %s, %v", url, out, err)
		}
		if out, err := as(token, url, "get", "namespaces"); err == nil {
			t.Errorf("get namespaces at %q: %s", url, out)
		}
	}
	for _, url := range []string{"/clusters/" + other, "/clusters/root:nobody"} {
		if out, err := as(token, url, "auth", "whoami"); err != nil || !strings.Contains(out, "system:kcp:serviceaccount:"+cluster+":default:deployer") {
			t.Errorf("whoami at %s: %s, %v", url, out, err)
		}
		if out, err := as(token, url, "get", "configmaps"); err == nil {
			t.Errorf("get at %s: %s", url, out)
		}
	}

	// The kubeconfig of the document.
	config := filepath.Join(t.TempDir(), "team.kubeconfig")
	write(t, config, kubectl("", "config", "view", "--raw", "--minify", "--flatten"))
	for _, args := range [][]string{{"config", "set-credentials", "deployer", "--token=" + token}, {"config", "set-context", "--current", "--user=deployer"}} {
		kubectl("", append([]string{"--kubeconfig", config}, args...)...)
	}
	contains(t, "with a kubeconfig of its own", kubectl("", "--kubeconfig", config, "--user", "deployer", "auth", "whoami"), "system:serviceaccount:default:deployer")

	kubectl("", "create", "secret", "generic", "tie")
	bound := strings.TrimSpace(kubectl("", "create", "token", "deployer", "--bound-object-kind=Secret", "--bound-object-name=tie", "--audience=vault"))
	kubectl("", "delete", "secret", "tie")
	if out, err := as(bound, "", "auth", "whoami"); err == nil || !strings.Contains(out, "Unauthorized") {
		t.Errorf("with a token for somebody else: %s, %v", out, err)
	}
	contains(t, "a pod", mustFail(t, server, path, "", "create", "token", "deployer", "--bound-object-kind=Pod", "--bound-object-name=x"), "a workspace has no pods")
	contains(t, "a short time", mustFail(t, server, path, "", "create", "token", "deployer", "--duration=1m"), "may not specify a duration less than 10 minutes")
	contains(t, "nobody", mustFail(t, server, path, "", "create", "token", "nobody"), `serviceaccounts "nobody" not found`)

	kubectl("apiVersion: v1\nkind: Secret\nmetadata: {name: lasting, annotations: {kubernetes.io/service-account.name: deployer}}\ntype: kubernetes.io/service-account-token\n", "create", "-f", "-")
	kubectl("", "wait", "--for=jsonpath={.data.token}", "secret/lasting", "--timeout=120s")
	contains(t, "describe", kubectl("", "describe", "secret", "lasting"), "kubernetes.io/service-account.uid", "ca.crt:", "namespace:  7 bytes", "token:      ey")
	lasting := strings.TrimPrefix(lineWith(kubectl("", "describe", "secret", "lasting"), "token:"), "token:      ")
	if out, err := as(lasting, "", "auth", "whoami"); err != nil || !strings.Contains(out, "system:serviceaccount:default:deployer") {
		t.Errorf("with the token of the Secret: %s, %v", out, err)
	}

	kubectl("", "delete", "serviceaccount", "deployer")
	kubectl("", "wait", "--for=delete", "secret/lasting", "--timeout=120s")
	for _, revoked := range []string{token, lasting} {
		if out, err := as(revoked, "", "auth", "whoami"); err == nil || !strings.Contains(out, "Unauthorized") {
			t.Errorf("with a token of nobody: %s, %v", out, err)
		}
	}
}

// lineWith returns the first line of text that begins with prefix.
func lineWith(text, prefix string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
