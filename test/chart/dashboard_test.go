package chart

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	// selector is a metric with what is asked of its labels, grouping a list of labels to add by.
	selector = regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`)
	grouping = regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)`)
	// sample is a line of /metrics.
	sample = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? \S+$`)
	label  = regexp.MustCompile(`([a-z_]+)="`)
)

// fromTarget are labels that Prometheus adds.
var fromTarget = sets.New("job", "namespace", "instance")

// Every metric and label in the dashboard is one that a server exports.
func TestDashboard_AsksForWhatIsExported(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(chartDir, "files", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	exported := metrics(t)
	asked := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			wanted := sets.New[string]()
			for _, list := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				wanted.Insert(strings.Split(strings.ReplaceAll(list[1], " ", ""), ",")...)
			}
			found := selector.FindAllStringSubmatch(target.Expr, -1)
			if len(found) == 0 {
				t.Errorf("%s: no metric in %s", panel.Title, target.Expr)
			}
			for _, metric := range found {
				for _, m := range matcher.FindAllStringSubmatch(metric[2], -1) {
					wanted.Insert(m[1])
				}
				labels, ok := exported[metric[1]]
				if !ok {
					t.Errorf("%s: no server exports %s", panel.Title, metric[1])
				} else if missing := wanted.Difference(labels).Difference(fromTarget); len(missing) > 0 {
					t.Errorf("%s: %s has no labels %q", panel.Title, metric[1], sets.List(missing))
				}
				asked++
			}
		}
	}
	if asked < 10 {
		t.Errorf("the dashboard asks for %d metrics only", asked)
	}
}

// metrics returns what a server exports after some requests: the labels of each metric.
func metrics(t *testing.T) map[string]sets.Set[string] {
	t.Helper()
	server := annex.Start(t, "--max-watches=4")
	client, _ := annex.Clients(t, server.Workspace("root"))
	namespaces := client.CoreV1().Namespaces()
	for open := 0; ; open++ {
		// A client that tries again would wait for nothing.
		watch, err := client.CoreV1().RESTClient().Get().MaxRetries(0).Resource("namespaces").Param("watch", "true").Watch(t.Context())
		if apierrors.IsTooManyRequests(err) && open > 0 {
			break
		}
		if err != nil || open > 4 {
			t.Fatalf("watch %d: %v", open, err)
		}
		defer watch.Stop()
	}
	if _, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "some"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if code := annex.Status(t, server.Workspace("root"), http.MethodGet, "/api/v1/namespaces/none"); code != http.StatusNotFound {
		t.Fatalf("status %d", code)
	}
	// What comes without TLS breaks a handshake.
	if response, err := http.Get(strings.Replace(server.URL(), "https:", "http:", 1)); err == nil {
		_ = response.Body.Close()
	}
	administrator, _ := annex.Clients(t, server.Config(annex.ContextShardBase))
	text, err := administrator.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]sets.Set[string]{}
	for _, line := range sample.FindAllStringSubmatch(string(text), -1) {
		labels := sets.New[string]()
		for _, name := range label.FindAllStringSubmatch(line[2], -1) {
			labels.Insert(name[1])
		}
		exported[line[1]] = labels
	}
	return exported
}
