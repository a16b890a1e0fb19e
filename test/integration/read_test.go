package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/test/framework/annex"
)

func makeConfigMaps(t *testing.T, typed kubernetes.Interface, n int) []*corev1.ConfigMap {
	t.Helper()
	var made []*corev1.ConfigMap
	for i := range n {
		cm, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), configMap(fmt.Sprintf("cm-%02d", i), "n", fmt.Sprint(i)), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, cm)
	}
	return made
}

func TestRead_Pages(t *testing.T) {
	s := start(t)
	typed := clientFor(t, s)
	makeConfigMaps(t, typed, 7)
	client := typed.CoreV1().ConfigMaps("default")
	options := metav1.ListOptions{Limit: 3, LabelSelector: "name"}
	var names []string
	var versions []string
	for pages := 0; ; pages++ {
		list, err := client.List(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			names = append(names, item.Name)
		}
		versions = append(versions, list.ResourceVersion)
		if pages == 0 {
			// What comes later is not in the pages that follow: they show the first one's moment.
			if _, err := client.Create(t.Context(), configMap("cm-99"), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	if len(names) != 7 || !slices.IsSorted(names) || slices.Contains(names, "cm-99") || len(slices.Compact(versions)) != 1 {
		t.Errorf("pages hold %v at %v", names, versions)
	}
	list, err := client.List(t.Context(), metav1.ListOptions{Limit: 2})
	if err != nil || list.RemainingItemCount == nil || *list.RemainingItemCount < 5 {
		t.Errorf("the first page: %v, %v", list, err)
	}
}

func TestRead_ResourceVersions(t *testing.T) {
	s := start(t)
	path, config := gadgetClient(t, s)
	typed, untyped := annex.Clients(t, config)
	made := makeConfigMaps(t, typed, 3)
	for i := range 3 {
		gadget := parse(t, fmt.Sprintf("apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: g-%d, namespace: default, labels: {name: g}}", i))
		if _, err := untyped.Resource(gadgets).Namespace("default").Create(t.Context(), gadget, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	admin := asAdmin(t, s)
	for _, resource := range []string{"/api/v1/namespaces/default/configmaps", "/apis/example.org/v1/namespaces/default/gadgets"} {
		at := "/clusters/" + path + resource + "?labelSelector=name"
		list := func(query string) (int, *metav1.PartialObjectMetadataList, answer) {
			a := admin.get(at + query)
			var got metav1.PartialObjectMetadataList
			if err := json.Unmarshal(a.body, &got); err != nil {
				t.Fatal(err)
			}
			return a.code, &got, a
		}
		_, all, _ := list("")
		if len(all.Items) != 3 {
			t.Fatalf("%s: %d objects", resource, len(all.Items))
		}
		second := all.Items[1].ResourceVersion
		for query, want := range map[string]int{
			"&resourceVersion=0": 3, "&resourceVersion=" + second: 3, "&resourceVersion=" + second + "&resourceVersionMatch=NotOlderThan": 3,
			"&resourceVersion=" + second + "&resourceVersionMatch=Exact": 2, "&resourceVersion=0&resourceVersionMatch=NotOlderThan": 3, "&resourceVersion=" + second + "&limit=1&resourceVersionMatch=Exact": 1,
		} {
			if code, got, _ := list(query); code != http.StatusOK || len(got.Items) != want {
				t.Errorf("%s%s: %d with %d objects, want %d", resource, query, code, len(got.Items), want)
			}
		}
		code, _, a := list("&resourceVersion=999999999&timeoutSeconds=1")
		if code != http.StatusGatewayTimeout || !strings.Contains(a.status().Message, "Too large resource version") {
			t.Errorf("%s: the future answers %d %s", resource, code, a.body)
		}
		for _, query := range []string{"&resourceVersionMatch=Exact", "&resourceVersion=0&resourceVersionMatch=Exact", "&resourceVersion=1&resourceVersionMatch=Nothing", "&resourceVersion=x", "&sendInitialEvents=true"} {
			if code, _, a := list(query); code < 400 || code >= 500 {
				t.Errorf("%s%s: %d %s", resource, query, code, a.body)
			}
		}
	}
	first := made[0]
	got, err := typed.CoreV1().ConfigMaps("default").Get(t.Context(), first.Name, metav1.GetOptions{ResourceVersion: first.ResourceVersion})
	if err != nil || got.Name != first.Name {
		t.Errorf("get at a version: %v, %v", got, err)
	}
}

func TestRead_Selectors(t *testing.T) {
	s := start(t)
	_, config := gadgetClient(t, s)
	typed, untyped := annex.Clients(t, config)
	makeConfigMaps(t, typed, 3)
	ctx := t.Context()
	for _, document := range []string{"{name: a, namespace: default, labels: {color: red}}\nspec: {text: one}", "{name: b, namespace: default, labels: {color: blue}}\nspec: {text: two}"} {
		if _, err := untyped.Resource(gadgets).Namespace("default").Create(ctx, parse(t, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: "+document), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := typed.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Type: "example.com/a"}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		resource, query string
		want            []string
	}{
		{"configmaps", "labelSelector=name%3Dcm-01", []string{"cm-01"}},
		{"configmaps", "labelSelector=name+in+(cm-01,cm-02)", []string{"cm-01", "cm-02"}},
		{"configmaps", "labelSelector=name,name!%3Dcm-01", []string{"cm-00", "cm-02"}},
		{"configmaps", "fieldSelector=metadata.name%3Dcm-01", []string{"cm-01"}},
		{"configmaps", "fieldSelector=metadata.namespace%3Dteam", nil},
		{"secrets", "fieldSelector=type%3Dexample.com/a", []string{"a"}},
		{"gadgets", "labelSelector=color%3Dred", []string{"a"}},
		{"gadgets", "fieldSelector=spec.text%3Dtwo", []string{"b"}},
		{"gadgets", "fieldSelector=spec.text!%3Dtwo", []string{"a"}},
		{"gadgets", "fieldSelector=metadata.name%3Da,spec.text%3Dtwo", nil},
	} {
		at := "/api/v1/"
		if c.resource == "gadgets" {
			at = "/apis/example.org/v1/"
		}
		for _, suffix := range []string{"", "&resourceVersion=0"} {
			a := newWire(t, s, config).get(strings.TrimPrefix(config.Host, s.URL()) + at + c.resource + "?" + c.query + suffix)
			var list metav1.PartialObjectMetadataList
			if err := json.Unmarshal(a.body, &list); err != nil || a.code != http.StatusOK {
				t.Errorf("%s %s: %d %s", c.resource, c.query, a.code, a.body)
				continue
			}
			var got []string
			for _, item := range list.Items {
				got = append(got, item.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s %s%s: %v, want %v", c.resource, c.query, suffix, got, c.want)
			}
		}
	}
	for _, query := range []string{"fieldSelector=spec.wheels%3D1", "labelSelector=%3D%3D", "fieldSelector=spec.nothing%3Dx"} {
		if a := newWire(t, s, config).get(strings.TrimPrefix(config.Host, s.URL()) + "/apis/example.org/v1/gadgets?" + query); a.code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, a.code, a.body)
		}
	}
}

// next returns the next event of a watch.
func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case event, ok := <-w.ResultChan():
		if !ok {
			t.Fatal("the watch ended")
		}
		return event
	case <-time.After(waitTimeout):
		t.Fatal("the watch says nothing")
	}
	return watch.Event{}
}

func TestWatch_Events(t *testing.T) {
	s := start(t)
	typed := clientFor(t, s)
	elsewhere := clientFor(t, s)
	ctx := t.Context()
	client := typed.CoreV1().ConfigMaps("default")
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer all.Stop()
	some, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion, LabelSelector: "picked"})
	if err != nil {
		t.Fatal(err)
	}
	defer some.Stop()
	if _, err := elsewhere.CoreV1().ConfigMaps("default").Create(ctx, configMap("elsewhere"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	cm, err := client.Create(ctx, configMap("a"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Labels["picked"] = "yes"
	if cm, err = client.Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	delete(cm.Labels, "picked")
	if _, err = client.Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		watch watch.Interface
		want  []watch.EventType
	}{{all, []watch.EventType{watch.Added, watch.Modified, watch.Modified, watch.Deleted}}, {some, []watch.EventType{watch.Added, watch.Deleted}}} {
		for _, want := range c.want {
			event := next(t, c.watch)
			got, ok := event.Object.(*corev1.ConfigMap)
			if !ok || event.Type != want || got.Name != "a" {
				t.Errorf("%s %v, want %s of a", event.Type, event.Object, want)
			}
		}
	}
	// A version that was never there.
	w, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: "1"})
	if err == nil {
		defer w.Stop()
		if event := next(t, w); event.Type == watch.Error && !apierrors.IsResourceExpired(apierrors.FromObject(event.Object)) {
			t.Errorf("an old version: %v", event)
		}
	} else if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		t.Errorf("an old version: %v", err)
	}
}

func TestWatch_InitialEventsAndBookmarks(t *testing.T) {
	s := start(t)
	_, config := gadgetClient(t, s)
	typed, untyped := annex.Clients(t, config)
	makeConfigMaps(t, typed, 3)
	for i := range 3 {
		gadget := parse(t, fmt.Sprintf("apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: g-%d, namespace: default, labels: {name: g}}", i))
		if _, err := untyped.Resource(gadgets).Namespace("default").Create(t.Context(), gadget, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	yes := true
	options := metav1.ListOptions{SendInitialEvents: &yes, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true, LabelSelector: "name"}
	typedWatch, err := typed.CoreV1().ConfigMaps("default").Watch(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	customWatch, err := untyped.Resource(gadgets).Watch(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]watch.Interface{"configmaps": typedWatch, "gadgets": customWatch} {
		for range 3 {
			if event := next(t, w); event.Type != watch.Added {
				t.Errorf("%s: %s, want ADDED", name, event.Type)
			}
		}
		event := next(t, w)
		object, ok := event.Object.(metav1.Object)
		if event.Type != watch.Bookmark || !ok || object.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" || object.GetResourceVersion() == "" {
			t.Errorf("%s: %v, want the bookmark that ends the initial events", name, event)
		}
		w.Stop()
	}
	no := false
	if _, err := typed.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{SendInitialEvents: &no}); !apierrors.IsInvalid(err) {
		t.Errorf("sendInitialEvents without a match: %v", err)
	}
}

func TestWatch_InformerFollows(t *testing.T) {
	s := start(t)
	typed := clientFor(t, s)
	makeConfigMaps(t, typed, 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	factory := informers.NewSharedInformerFactory(typed, 0) // with WatchList, client-go's default
	informer := factory.Core().V1().ConfigMaps()
	lister := informer.Lister().ConfigMaps("default")
	shared := informer.Informer()
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), shared.HasSynced) {
		t.Fatal("the informer does not sync")
	}
	for i := range 20 {
		if _, err := lister.Get(fmt.Sprintf("cm-%02d", i)); err != nil {
			t.Error(err)
		}
	}
	if err := typed.CoreV1().ConfigMaps("default").Delete(ctx, "cm-00", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the informer has seen the deletion", func(context.Context) (bool, error) {
		_, err := lister.Get("cm-00")
		return apierrors.IsNotFound(err), nil
	})
}
