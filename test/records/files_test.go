package records

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// write writes a file of the test and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	rewrite(t, path, content)
	return path
}

func rewrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// send sends a request below config.Host and returns code and body. Headers are pairs of name and value.
func send(ctx context.Context, config *rest.Config, method, path, body string, headers ...string) (int, string, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, method, config.Host+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// must is send for a request that is answered with a code.
func must(t *testing.T, config *rest.Config, want int, method, path, body string, headers ...string) string {
	t.Helper()
	code, answer, err := send(t.Context(), config, method, path, body, headers...)
	if err != nil || code != want {
		t.Fatalf("%s %s: %d, %v; want %d\n%s", method, path, code, err, want, answer)
	}
	return answer
}

const gadgetCRD = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"gadgets.example.com"},"spec":{
"group":"example.com","scope":"Namespaced","names":{"plural":"gadgets","singular":"gadget","kind":"Gadget","listKind":"GadgetList"},
"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"word":{"type":"string"}}}}}}}]}}`

// defineGadgets creates the CustomResourceDefinition of Gadgets and waits until they are served.
func defineGadgets(t *testing.T, config *rest.Config) {
	t.Helper()
	must(t, config, 201, http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", gadgetCRD)
	annex.Eventually(t, func(ctx context.Context) error {
		if code, answer, err := send(ctx, config, http.MethodGet, gadgets, ""); err != nil || code != 200 {
			return fmt.Errorf("%d %s: %w", code, answer, err)
		}
		return nil
	})
}

func gadget(name, word string) string {
	return fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Gadget","metadata":{"name":%q},"spec":{"word":%q}}`, name, word)
}

func configMap(name, word string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"word":%q}}`, name, word)
}

func secret(name, word string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":%q},"stringData":{"word":%q}}`, name, word)
}

const (
	configMaps = "/api/v1/namespaces/default/configmaps"
	secrets    = "/api/v1/namespaces/default/secrets"
	gadgets    = "/apis/example.com/v1/namespaces/default/gadgets"
)
