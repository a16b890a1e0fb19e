package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// Objects of a bound resource have names that a URL can have: with kubectl, for the provider, over all consumers, and until their binding goes.
func TestPathSegmentNames(t *testing.T) {
	s := start(t)
	path, cluster := newWorkspace(t, s, "root", uniqueName("names"))
	consumerPath, consumer := newWorkspace(t, s, "root", uniqueName("named"))
	apply(t, s.Workspace(path), strings.Replace(widgetSchema, "scope: Namespaced", "scope: Namespaced\n  nameValidation: PathSegmentName", 1)+"\n---\n"+widgetExport)
	apply(t, s.Workspace(consumerPath), binding("widgets", path, "widgets"))
	_, there := annex.Clients(t, s.Workspace(consumerPath))
	waitCondition(t, there.Resource(bindings), "widgets", "Ready", "True", "")
	const name = "system:Admin b"
	manifest := "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: '" + name + "', namespace: default}\n"
	s.Kubectl(consumerPath, manifest, "apply", "--server-side", "-f", "-")
	if out := s.Kubectl(consumerPath, "", "get", "widgets", name, "-o", "jsonpath={.metadata.name}"); out != name {
		t.Errorf("its name is %q", out)
	}
	s.Kubectl(consumerPath, "", "label", "widgets", name, "a=b")
	s.Kubectl(consumerPath, "", "delete", "widgets", name, "--timeout=60s")

	// The provider creates one in the consumer, and sees it there and over all consumers.
	wire := asAdmin(t, s)
	endpoint := "/services/apiexport/" + cluster + "/widgets/clusters/"
	const widgetsAt = "/apis/example.com/v1/namespaces/default/widgets"
	eventually(t, "the provider creates it", func(context.Context) (bool, error) {
		a := wire.send(request{method: http.MethodPost, path: endpoint + consumer + widgetsAt, body: `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"` + name + `"}}`})
		return a.code == http.StatusCreated || a.code == http.StatusConflict, nil
	})
	if a := wire.get(endpoint + consumer + widgetsAt + "/" + url.PathEscape(name)); a.code != http.StatusOK {
		t.Errorf("the provider gets %d %s", a.code, a.body)
	}
	var list struct {
		Items []struct{ Metadata metav1.ObjectMeta }
	}
	a := wire.get(endpoint + "*/apis/example.com/v1/widgets")
	if err := json.Unmarshal(a.body, &list); err != nil || len(list.Items) != 1 || list.Items[0].Metadata.Name != name {
		t.Errorf("the provider lists %d %s", a.code, a.body)
	}
	for _, bad := range []string{"a/b", "a%b", "..", "a\\u0000b"} {
		a := wire.send(request{method: http.MethodPost, path: "/clusters/" + consumerPath + widgetsAt, body: `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"` + bad + `"}}`})
		if a.code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", bad, a.code, a.body)
		}
	}
	s.Kubectl(consumerPath, "", "delete", "apibinding", "widgets", "--timeout=60s")
	apply(t, s.Workspace(consumerPath), binding("again", path, "widgets"))
	waitCondition(t, there.Resource(bindings), "again", "Ready", "True", "")
	if _, err := there.Resource(widgets).Namespace("default").Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the binding was deleted: %v", err)
	}
}
