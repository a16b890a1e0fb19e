package authentication

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/server/authentication/jwt"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// blocks returns the YAML in a section of a document.
func blocks(t *testing.T, file, heading string) []string {
	t.Helper()
	content, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(content), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var all []string
	for _, block := range yamlBlock.FindAllStringSubmatch(section, -1) {
		all = append(all, block[1])
	}
	if !found || len(all) == 0 {
		t.Fatalf("%s has no YAML in the section %q", file, heading)
	}
	return all
}

// Every configuration that the documents show can be used as it is.
func TestDocs_Logins(t *testing.T) {
	configured, values, hooks := 0, 0, 0
	for _, block := range blocks(t, "install.md", "Logins") {
		var c Config
		var chart struct {
			Authentication struct {
				Config map[string]any `json:"config"`
			} `json:"authentication"`
		}
		switch err := yaml.Unmarshal([]byte(block), &chart); {
		case err != nil:
			t.Errorf("%v\n%s", err, block)
			continue
		case strings.Contains(block, "kind: AuthenticationConfiguration"):
			configured++
			c.JWT = jwt.Config{File: write(t, "config.yaml", []byte(block))}
		case chart.Authentication.Config != nil:
			values++
			content, err := yaml.Marshal(chart.Authentication.Config)
			if err != nil {
				t.Fatal(err)
			}
			c.JWT = jwt.Config{File: write(t, "config.yaml", []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"+string(content)))}
		case strings.Contains(block, "kind: Config"):
			hooks++
			// The files that it names are those of a pod.
			dir := t.TempDir()
			block = strings.ReplaceAll(block, "/etc/annex/token-webhook", dir)
			for _, file := range []string{"ca.crt", "token"} {
				if err := os.WriteFile(dir+"/"+file, newAuthority(t).pem(t), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c.Webhook = &Webhook{Kubeconfig: write(t, "kubeconfig", []byte(block)), Version: "v1"}
		default:
			continue // other values of the chart
		}
		if _, err := New(c); err != nil {
			t.Errorf("%v\n%s", err, block)
		}
	}
	if configured < 2 || values < 1 || hooks < 1 {
		t.Errorf("%d configurations, %d values, %d webhooks", configured, values, hooks)
	}
	for _, block := range blocks(t, "clients.md", "Log in with OpenID Connect") {
		config, err := clientcmd.Load([]byte(block))
		if err != nil {
			t.Fatal(err)
		}
		exec := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo].Exec
		if exec == nil || exec.Command != "kubectl" {
			t.Errorf("the kubeconfig has the plugin %v", exec)
		}
		if err := clientcmd.Validate(*config); err != nil && !strings.Contains(fmt.Sprint(err), "annex-ca.crt") {
			t.Error(err)
		}
	}
}
