package host

import (
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// entered returns a new workspace with widgets in it, and a user of the host who may do all there, through the host and
// directly.
func entered(t *testing.T, name string) (throughHost, direct *rest.Config) {
	t.Helper()
	server := installed.annex.For(t)
	path, _ := server.NewWorkspace("root", name, "")
	server.Kubectl(path, widgets, "apply", "-f", "-")
	server.Kubectl(path, "", "wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=120s")
	server.Kubectl(path, "", "create", "clusterrolebinding", name, "--clusterrole=cluster-admin", "--user="+name)
	dev := newUser(t, name, workspaceRule(path))
	throughHost = rest.CopyConfig(dev.config)
	throughHost.Host += proxy(path)
	return throughHost, server.Workspace(path)
}

// send makes a request that says of itself what it accepts, and returns the answer whose body the caller reads.
func send(t *testing.T, config *rest.Config, method, path, body string, header http.Header) *http.Response {
	t.Helper()
	config = rest.CopyConfig(config)
	config.DisableCompression = true
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, config.Host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for key, values := range header {
		request.Header[key] = values
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestHost_GzipIsNegotiated(t *testing.T) {
	throughHost, _ := entered(t, "gzip")
	client, _ := annex.Clients(t, throughHost)
	// Answers below 128 KB are not compressed.
	long := strings.Repeat("compress me ", 20<<10)
	if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "long"}, Data: map[string]string{"x": long}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const path = "/api/v1/namespaces/default/configmaps/long"
	plain := send(t, throughHost, http.MethodGet, path, "", nil)
	if encoding := plain.Header.Get("Content-Encoding"); encoding != "" {
		t.Errorf("an answer that nobody wanted compressed: %s", encoding)
	}
	packed := send(t, throughHost, http.MethodGet, path, "", http.Header{"Accept-Encoding": {"gzip"}})
	if encoding := packed.Header.Get("Content-Encoding"); encoding != "gzip" {
		t.Fatalf("Content-Encoding %q", encoding)
	}
	counted := &counter{from: packed.Body}
	unpacked, err := gzip.NewReader(counted)
	if err != nil {
		t.Fatal(err)
	}
	var got corev1.ConfigMap
	if err := json.NewDecoder(unpacked).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Data["x"] != long || counted.bytes > len(long)/10 {
		t.Errorf("%d bytes for %d", counted.bytes, len(long))
	}
}

// counter counts what is read.
type counter struct {
	from  io.Reader
	bytes int
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.bytes += n
	return n, err
}

// What is too large is refused through the host as it is directly.
func TestHost_LargeBodies(t *testing.T) {
	throughHost, direct := entered(t, "large")
	configMap := func(name string, size int) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"x":%q}}`, name, strings.Repeat("x", size))
	}
	widget := func(name string, size int) string {
		return fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":%q,"annotations":{"x":"y"}},"spec":{"size":1}%s}`, name, strings.Repeat(" ", size))
	}
	noted := func(name string, size int) string {
		return fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":%q,"finalizers":["example.com/%s"]}}`, name, strings.Repeat("x", size))
	}
	installed.annex.For(t).Kubectl("root:large", strings.ReplaceAll(strings.ReplaceAll(widgets, "idget", "lob"), "properties: {size:", "properties: {data: {type: string}, size:"), "apply", "-f", "-")
	installed.annex.For(t).Kubectl("root:large", "", "wait", "--for=condition=Established", "crd/wlobs.example.com", "--timeout=120s")
	blob := func(name string, size int) string {
		return fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Wlob","metadata":{"name":%q},"spec":{"data":%q}}`, name, strings.Repeat("x", size))
	}
	const blobs = "/apis/example.com/v1/namespaces/default/wlobs"
	const maps, crs = "/api/v1/namespaces/default/configmaps", "/apis/example.com/v1/namespaces/default/widgets"
	for _, test := range []struct {
		name, path string
		make       func(string, int) string
		size       int
		wantCode   int
		wantReason metav1.StatusReason
	}{
		{"a ConfigMap of 1 MB", maps, configMap, 1000 << 10, http.StatusCreated, ""},
		{"a ConfigMap beyond what one may hold", maps, configMap, 1100 << 10, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid},
		{"a custom resource of 2 MB, most of it blank", crs, widget, 2 << 20, http.StatusCreated, ""},
		{"a custom resource with a finalizer that is too long", crs, noted, 1200 << 10, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid},
		{"a custom resource of 1.2 MB", blobs, blob, 1200 << 10, http.StatusCreated, ""},
		{"a custom resource beyond what etcd takes", blobs, blob, 2 << 20, http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge},
		{"a body beyond what is read", maps, configMap, 4 << 20, http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i, config := range []*rest.Config{direct, throughHost} {
				name := fmt.Sprintf("%s-%d-%d", []string{"direct", "host"}[i], test.size>>10, test.wantCode)
				response := send(t, config, http.MethodPost, test.path, test.make(name, test.size), http.Header{"Content-Type": {"application/json"}})
				var status metav1.Status
				body, err := io.ReadAll(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				if test.wantReason != "" {
					if err := json.Unmarshal(body, &status); err != nil {
						t.Errorf("%s: no status: %.200s", name, body)
					}
				}
				if response.StatusCode != test.wantCode || status.Reason != test.wantReason {
					t.Errorf("%s: %d %s, want %d %s: %.200s", name, response.StatusCode, status.Reason, test.wantCode, test.wantReason, body)
				}
			}
		})
	}
}

// Browsers watch through websockets.
func TestHost_WatchOverWebsocket(t *testing.T) {
	throughHost, direct := entered(t, "websocket")
	client, _ := annex.Clients(t, throughHost)
	for name, config := range map[string]*rest.Config{"directly": direct, "through the host": throughHost} {
		t.Run(name, func(t *testing.T) {
			target, err := url.Parse(config.Host + "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0&fieldSelector=metadata.name%3Dseen")
			if err != nil {
				t.Fatal(err)
			}
			target.Scheme = "wss"
			dial, err := websocket.NewConfig(target.String(), "https://browser.example.com")
			if err != nil {
				t.Fatal(err)
			}
			if dial.TlsConfig, err = rest.TLSConfigFor(config); err != nil {
				t.Fatal(err)
			}
			dial.TlsConfig.NextProtos, dial.TlsConfig.MinVersion = []string{"http/1.1"}, tls.VersionTLS12
			if config.BearerToken != "" {
				dial.Header.Set("Authorization", "Bearer "+config.BearerToken)
			}
			connection, err := dial.DialContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = connection.Close() }()
			if err := connection.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "seen"}}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := client.CoreV1().ConfigMaps("default").Delete(t.Context(), "seen", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"ADDED", "DELETED"} {
				var event struct {
					Type   string                       `json:"type"`
					Object metav1.PartialObjectMetadata `json:"object"`
				}
				if err := websocket.JSON.Receive(connection, &event); err != nil {
					t.Fatalf("waiting for %s: %v", want, err)
				}
				if event.Type != want || event.Object.Name != "seen" {
					t.Errorf("%s %s, want %s", event.Type, event.Object.Name, want)
				}
			}
		})
	}
}
