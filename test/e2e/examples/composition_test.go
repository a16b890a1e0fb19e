package examples

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/test/framework/annex"
)

// identityOf waits for the identity of an export of the provider.
func identityOf(t *testing.T, export string) (identity string) {
	t.Helper()
	_, client := annex.Clients(t, world.server.For(t).Workspace(provider))
	annex.Eventually(t, func(ctx context.Context) error {
		got, err := client.Resource(exports).Get(ctx, export, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if identity, _, _ = unstructured.NestedString(got.Object, "status", "identityHash"); identity == "" {
			return errors.New("the export " + export + " has no identity")
		}
		return nil
	})
	return identity
}

// end is that of an object: its kind, and the revision at which it was deleted.
type end struct {
	kind     string
	revision uint64
}

// ends returns the ends of the consumer's Routes and Databases.
func (c *consumer) ends() <-chan end {
	c.t.Helper()
	ended := make(chan end, 2)
	for _, resource := range []schema.GroupVersionResource{routes, databases} {
		w, err := c.Resource(resource).Namespace("default").Watch(c.t.Context(), metav1.ListOptions{})
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(w.Stop)
		go func() {
			for event := range w.ResultChan() {
				if obj, ok := event.Object.(*unstructured.Unstructured); ok && event.Type == watch.Deleted {
					revision, _ := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
					ended <- end{obj.GetKind(), revision}
				}
			}
		}()
	}
	return ended
}

// One App makes objects of two other providers, says how they are, and takes them along in order.
func TestComposition(t *testing.T) {
	operateDatabases(t)
	offer(t, "route-operator")
	operate(t, "route-operator", "--leader-elect=false", "--domain=apps.example.org")
	ids := map[string]string{"databases": identityOf(t, "databases"), "routes": identityOf(t, "routes")}
	offer(t, "composition", "databases="+ids["databases"], "routes="+ids["routes"])
	operate(t, "composition", "--leader-elect=false")

	c := newConsumer(t, "composition")
	c.bind("databases", "Accepted", ownSecrets, eventsClaim)
	c.bind("routes", "Accepted")
	claims := func(of map[string]string) []string {
		return []string{
			`group: postgresql.example.com, resource: databases, identityHash: ` + of["databases"] + `, verbs: ["*"], selector: {matchAll: true}`,
			`group: routes.example.com, resource: routes, identityHash: ` + of["routes"] + `, verbs: ["*"], selector: {matchAll: true}`,
		}
	}
	c.bind("apps", "Rejected", claims(ids)...)
	const app = "apiVersion: apps.example.com/v1\nkind: App\nmetadata: {name: shop, namespace: default}\nspec: {host: shop, connectionLimit: 4}\n"
	c.create(apps, app)
	c.says(apps, "shop", "DatabaseReady", "False", "NotAllowed")
	c.says(apps, "shop", "Ready", "False", "PartsNotReady")

	accept := []byte(`[{"op":"replace","path":"/spec/permissionClaims/0/state","value":"Accepted"},{"op":"replace","path":"/spec/permissionClaims/1/state","value":"Accepted"}]`)
	if _, err := c.Resource(bindings).Patch(t.Context(), "apps", types.JSONPatchType, accept, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	found := c.says(apps, "shop", "Ready", "True", "PartsReady")
	url, _, _ := unstructured.NestedString(found.Object, "status", "url")
	secret, _, _ := unstructured.NestedString(found.Object, "status", "secretName")
	if want := "https://shop." + c.cluster + ".apps.example.org"; url != want || secret != "shop" {
		t.Errorf("the App is at %q with the Secret %q, want %q and shop", url, secret, want)
	}
	data := c.works("shop", "")
	made, err := c.Resource(databases).Namespace("default").Get(t.Context(), "shop", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if limit, _, _ := unstructured.NestedInt64(made.Object, "spec", "connectionLimit"); limit != 4 || !metav1.IsControlledBy(made, found) {
		t.Errorf("the Database is %v", made.Object)
	}

	// What a part says, the App says. What somebody changes or deletes comes back.
	if _, err := c.Resource(databases).Namespace("default").Patch(t.Context(), "shop", types.MergePatchType, []byte(`{"spec":{"connectionLimit":50}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Resource(routes).Namespace("default").Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(ctx context.Context) error {
		made, err := c.Resource(databases).Namespace("default").Get(ctx, "shop", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if limit, _, _ := unstructured.NestedInt64(made.Object, "spec", "connectionLimit"); limit != 4 {
			return fmt.Errorf("the connection limit of the Database is %d", limit)
		}
		_, err = c.Resource(routes).Namespace("default").Get(ctx, "shop", metav1.GetOptions{})
		return err
	})
	c.says(apps, "shop", "Ready", "True", "PartsReady")

	// A Route of the consumer's own is not taken.
	c.create(routes, "apiVersion: routes.example.com/v1\nkind: Route\nmetadata: {name: own, namespace: default}\nspec: {host: own}\n")
	c.create(apps, "apiVersion: apps.example.com/v1\nkind: App\nmetadata: {name: own, namespace: default}\nspec: {host: other}\n")
	c.says(apps, "own", "RouteReady", "False", "Conflict")
	if err := c.Resource(apps).Namespace("default").Delete(t.Context(), "own", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.gone(apps, "own")
	if _, err := c.Resource(routes).Namespace("default").Get(t.Context(), "own", metav1.GetOptions{}); err != nil {
		t.Errorf("the consumer's own Route: %v", err)
	}
	c.gone(databases, "own")

	ended := c.ends()
	if err := c.Resource(apps).Namespace("default").Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	revisions := map[string]uint64{}
	for range 2 {
		e := <-ended
		revisions[e.kind] = e.revision
	}
	if revisions["Route"] == 0 || revisions["Route"] >= revisions["Database"] {
		t.Errorf("the parts end at the revisions %v, want the Route before the Database", revisions)
	}
	c.gone(apps, "shop")
	if _, err := c.typed.CoreV1().Secrets("default").Get(t.Context(), "shop", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Secret after the App: %v", err)
	}
	if left := named(t, data.database); len(left) > 0 {
		t.Errorf("after the App there are %v", left)
	}
	leave(t, c)
}
