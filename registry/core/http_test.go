package core

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/openapi"
	"github.com/annex-dev/annex/registry/coordination"
	eventsgroup "github.com/annex-dev/annex/registry/events"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

// serve returns a URL below which /clusters/<name> is the API of this package, of events.k8s.io and of coordination.k8s.io
// in that cluster, through the stock request chain.
func serve(t *testing.T) string {
	t.Helper()
	s := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: testserver.RunEtcd(t, nil), Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	config := genericapiserver.NewConfig(s.Codecs)
	config.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	config.LoopbackClientConfig = &restclient.Config{}
	config.ExternalAddress = "127.0.0.1:443"
	namer := apiopenapi.NewDefinitionNamer(s.Scheme)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	config.SkipOpenAPIInstallation = true
	config.Authentication.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "alice"}}, true, nil
	})
	config.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	server, err := config.Complete(nil).New("test", genericapiserver.NewEmptyDelegate())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Destroy)

	coreGroup, err := NewGroup(s, backend.RESTOptionsGetter())
	if err != nil {
		t.Fatal(err)
	}
	eventGroup, err := eventsgroup.NewGroup(coreGroup)
	if err != nil {
		t.Fatal(err)
	}
	leaseGroup, err := coordination.NewGroup(s, backend.RESTOptionsGetter())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []*group.Group{coreGroup, eventGroup, leaseGroup} {
		info := genericapiserver.NewDefaultAPIGroupInfo(g.Name, s.Scheme, s.ParameterCodec, s.Codecs)
		info.VersionedResourcesStorageMap = g.Versions
		if g.Name == "" {
			err = server.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, &info)
		} else {
			err = server.InstallAPIGroup(&info)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/clusters/"), "/")
		r = r.Clone(logicalcluster.WithCluster(r.Context(), logicalcluster.Name(name)))
		r.URL.Path = "/" + path
		server.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	return door.URL
}

// dial returns a client that speaks contentType with one cluster and collects warnings.
func dial(t *testing.T, url, cluster, contentType string) (kubernetes.Interface, *recorder) {
	t.Helper()
	said := &recorder{}
	c, err := kubernetes.NewForConfig(&restclient.Config{
		Host:           url + "/clusters/" + cluster,
		ContentConfig:  restclient.ContentConfig{ContentType: contentType},
		WarningHandler: warningHandler{said},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, said
}

type warningHandler struct{ *recorder }

func (w warningHandler) HandleWarningHeader(_ int, _, text string) { w.AddWarning("", text) }

func TestHTTP(t *testing.T) {
	t.Parallel()
	url := serve(t)
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			cluster := "c" + strings.NewReplacer("/", "-", ".", "-").Replace(contentType)
			c, said := dial(t, url, cluster, contentType)
			t.Run("namespaces", func(t *testing.T) { httpNamespaces(t, c, cluster) })
			t.Run("secrets", func(t *testing.T) { httpSecrets(t, c) })
			t.Run("events", func(t *testing.T) { httpEvents(t, c) })
			t.Run("leases", func(t *testing.T) { httpLeases(t, c) })
			t.Run("warnings", func(t *testing.T) { httpWarnings(t, c, said) })
		})
	}
	t.Run("tables", func(t *testing.T) { httpTables(t, url) })
	t.Run("discovery", func(t *testing.T) { httpDiscovery(t, url) })
}

func httpNamespaces(t *testing.T, c kubernetes.Interface, cluster string) {
	ns, err := c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "a-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ns.Labels[corev1.LabelMetadataName] != ns.Name || len(ns.Spec.Finalizers) != 1 || ns.Annotations[logicalcluster.AnnotationKey] != cluster {
		t.Errorf("created %+v", ns)
	}
	// What somebody applies about where an object lives changes nothing, and makes him owner of nothing.
	applied, err := c.CoreV1().Namespaces().Patch(t.Context(), ns.Name, types.ApplyPatchType,
		fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q,"labels":{"x":"y"},"annotations":{"kcp.io/cluster":"other"}},"status":{"phase":"Terminating"}}`, ns.Name),
		metav1.PatchOptions{FieldManager: "me"})
	if err != nil {
		t.Fatal(err)
	}
	if applied.Labels["x"] != "y" || applied.Annotations[logicalcluster.AnnotationKey] != cluster || applied.Status.Phase != corev1.NamespaceActive {
		t.Errorf("applied %+v", applied)
	}
	for _, managed := range applied.ManagedFields {
		if fields := string(managed.FieldsV1.GetRawBytes()); strings.Contains(fields, "kcp.io/cluster") || (managed.Manager == "me" && strings.Contains(fields, "f:status")) {
			t.Errorf("%s owns %s", managed.Manager, fields)
		}
	}
	if err := c.CoreV1().Namespaces().Delete(t.Context(), ns.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	list, err := c.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{FieldSelector: "status.phase=Terminating"})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("terminating: %v, %v", list, err)
	}
	going := &list.Items[0]
	going.Spec.Finalizers = nil
	if _, err := c.CoreV1().Namespaces().Finalize(t.Context(), going, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CoreV1().Namespaces().Get(t.Context(), ns.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after finalization: %v", err)
	}
}

func httpSecrets(t *testing.T, c kubernetes.Interface) {
	secrets := c.CoreV1().Secrets("a")
	for name, kind := range map[string]types.PatchType{"applied": types.ApplyPatchType, "created": ""} {
		var secret *corev1.Secret
		var err error
		if kind == "" {
			secret, err = secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"k": "v"}}, metav1.CreateOptions{})
		} else {
			secret, err = secrets.Patch(t.Context(), name, kind,
				fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":%q},"stringData":{"k":"v"}}`, name), metav1.PatchOptions{FieldManager: "me"})
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if string(secret.Data["k"]) != "v" || secret.Type != corev1.SecretTypeOpaque {
			t.Errorf("%s: %+v", name, secret)
		}
	}
	patched, err := secrets.Patch(t.Context(), "created", types.StrategicMergePatchType, []byte(`{"stringData":{"k":"w"}}`), metav1.PatchOptions{})
	if err != nil || string(patched.Data["k"]) != "w" {
		t.Errorf("patched %v, %v", patched, err)
	}
	if list, err := secrets.List(t.Context(), metav1.ListOptions{FieldSelector: "type=Opaque,metadata.name=applied"}); err != nil || len(list.Items) != 1 {
		t.Errorf("selected %v, %v", list, err)
	}
	if _, err := secrets.List(t.Context(), metav1.ListOptions{FieldSelector: "data=x"}); !apierrors.IsBadRequest(err) {
		t.Errorf("a selector on data: %v", err)
	}
	if err := secrets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if list, err := secrets.List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 0 {
		t.Errorf("after deletion %v, %v", list, err)
	}
}

func httpEvents(t *testing.T, c kubernetes.Interface) {
	now := metav1.NewMicroTime(time.Unix(1000, 5000))
	_, err := c.EventsV1().Events("a").Create(t.Context(), &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "eventTime") {
		t.Errorf("an event without anything: %v", err)
	}
	if _, err := c.EventsV1().Events("a").Create(t.Context(), &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "new"}, EventTime: now, ReportingController: "example.com/c", ReportingInstance: "i", Action: "Act", Reason: "Because",
		Type: "Normal", Note: "note", Regarding: corev1.ObjectReference{Kind: "ConfigMap", Namespace: "a", Name: "x"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	seen, err := c.CoreV1().Events("a").Get(t.Context(), "new", metav1.GetOptions{})
	if err != nil || seen.Message != "note" || seen.InvolvedObject.Name != "x" || !seen.EventTime.Equal(&now) {
		t.Errorf("through the core group: %+v, %v", seen, err)
	}
	if _, err := c.CoreV1().Events("a").Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "old"}, Message: "message", InvolvedObject: corev1.ObjectReference{Namespace: "a", Name: "y"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for selector, want := range map[string]int{"": 2, "regarding.name=y": 1, "reportingController=example.com/c": 1, "metadata.name=new": 1} {
		if list, err := c.EventsV1().Events("a").List(t.Context(), metav1.ListOptions{FieldSelector: selector}); err != nil || len(list.Items) != want {
			t.Errorf("%q selects %v, %v", selector, list, err)
		}
	}
	updated, err := c.EventsV1().Events("a").Patch(t.Context(), "new", types.MergePatchType, []byte(`{"series":{"count":2,"lastObservedTime":"2026-01-02T03:04:05.000006Z"}}`), metav1.PatchOptions{})
	if err != nil || updated.Series == nil || updated.Series.Count != 2 {
		t.Errorf("series: %+v, %v", updated, err)
	}
	if _, err := c.EventsV1().Events("a").Patch(t.Context(), "new", types.MergePatchType, []byte(`{"note":"other"}`), metav1.PatchOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("changing the note: %v", err)
	}
	watch, err := c.EventsV1().Events("a").Watch(t.Context(), metav1.ListOptions{FieldSelector: "regarding.name=y"})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	if event, ok := (<-watch.ResultChan()).Object.(*eventsv1.Event); !ok || event.Note != "message" {
		t.Errorf("watched %+v", event)
	}
}

func httpLeases(t *testing.T, c kubernetes.Interface) {
	holder := "h"
	leases := c.CoordinationV1().Leases("a")
	lease, err := leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lease.ResourceVersion = ""
	if _, err := leases.Update(t.Context(), lease, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("an update without a version: %v", err)
	}
}

func httpWarnings(t *testing.T, c kubernetes.Interface, said *recorder) {
	for range 2 {
		if _, err := c.CoreV1().LimitRanges("a").Create(t.Context(), &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(said.said) != 2 || !strings.Contains(said.said[0], "limits nothing") {
		t.Errorf("warned %q", said.said)
	}
}

func httpTables(t *testing.T, url string) {
	c, _ := dial(t, url, "tables", runtime.ContentTypeJSON)
	if _, err := c.CoreV1().LimitRanges("a").Create(t.Context(), &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CoreV1().ConfigMaps("a").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for resource, want := range map[string]string{"configmaps": "Name Data Age", "limitranges": "Name Created At", "events": "Last Seen Type Reason Object Subobject Source Message First Seen Count Name"} {
		table := &metav1.Table{}
		raw, err := c.CoreV1().RESTClient().Get().Namespace("a").Resource(resource).SetHeader("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1").DoRaw(t.Context())
		if err == nil {
			err = runtime.DecodeInto(kinds.All.NewScheme().Codecs.UniversalDeserializer(), raw, table)
		}
		if err != nil {
			t.Errorf("%s: %v: %s", resource, err, raw)
			continue
		}
		var columns []string
		for _, c := range table.ColumnDefinitions {
			columns = append(columns, c.Name)
		}
		if got := strings.Join(columns, " "); got != want {
			t.Errorf("%s has columns %q, want %q", resource, got, want)
		}
	}
}

func httpDiscovery(t *testing.T, url string) {
	c, _ := dial(t, url, "discovery", runtime.ContentTypeJSON)
	const all, most = "create delete deletecollection get list patch update watch", "create delete get list patch update watch"
	for version, want := range map[string]map[string]string{
		"v1": {
			"namespaces": most, "namespaces/status": "get patch update", "namespaces/finalize": "update", "configmaps": all, "secrets": all,
			"serviceaccounts": all, "events": all, "limitranges": all, "resourcequotas": all, "resourcequotas/status": "get patch update",
		},
		"events.k8s.io/v1":       {"events": all},
		"coordination.k8s.io/v1": {"leases": all},
	} {
		found, err := c.Discovery().ServerResourcesForGroupVersion(version)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range found.APIResources {
			verbs := slices.Clone(r.Verbs)
			slices.Sort(verbs)
			if got := strings.Join(verbs, " "); got != want[r.Name] {
				t.Errorf("%s %s has verbs %q, want %q", version, r.Name, got, want[r.Name])
			}
		}
		for name := range want {
			if !slices.ContainsFunc(found.APIResources, func(r metav1.APIResource) bool { return r.Name == name }) {
				t.Errorf("%s lacks %s", version, name)
			}
		}
	}
}
