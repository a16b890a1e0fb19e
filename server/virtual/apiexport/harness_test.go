package apiexport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	endpointsopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/openapi"
	"github.com/annex-dev/annex/registry/apiextensions"
	"github.com/annex-dev/annex/registry/apis"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/inprocess"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// patience is how long tests wait for what must happen; nothing waits that long when it works.
const patience = 2 * time.Minute

// policy allows what it lists, each as "user verb export cluster".
type rules map[string]bool

func (p rules) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetAPIGroup() != "apis.kcp.io" || a.GetResource() != "apiexports" || a.GetSubresource() != "content" || !a.IsResourceRequest() {
		return authorizer.DecisionNoOpinion, "", errors.New("asked for something else")
	}
	for _, verb := range []string{a.GetVerb(), "*"} {
		if p[a.GetUser().GetName()+" "+verb+" "+a.GetName()+" "+string(cluster)] {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// caughtUp is the view.Fresh of a catalog over a backend.
type caughtUp struct{ *storage.Backend }

func (c caughtUp) Wait(ctx context.Context) (uint64, error) {
	return c.CatchUp(ctx, catalog.Followed()...)
}

func (caughtUp) Unchanged(logicalcluster.Name, uint64, uint64) bool { return false }

// world is an endpoint over real storage.
type world struct {
	t        *testing.T
	etcd     *kubernetes.Client
	client   *inprocess.Client
	endpoint *Endpoint
	activity activity
	watches  *serve.Watches
	policy   rules
	handler  http.Handler
	// typed are the requests that reached typed storage, which this world has none of.
	typed []*http.Request
}

func newWorld(t *testing.T) *world {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = etcd.Close() })
	s := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: etcd, Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	own, err := apis.NewGroup(s, backend.RESTOptionsGetter(), func() string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := apiextensions.NewGroup(s, backend.RESTOptionsGetter())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, etcd: etcd, policy: rules{"alice * things provider": true, "alice * other provider": true}}
	reader, err := inprocess.NewReader(s.Scheme, []*group.Group{own, definitions})
	if err != nil {
		t.Fatal(err)
	}
	w.client, err = inprocess.New(reader, inprocess.Config{Scheme: s.Scheme, Admission: admission.NewChainHandler()})
	if err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	typed := func(gr schema.GroupResource) bool { return gr.Group == "tenancy.kcp.io" }
	resources := catalog.New(catalog.Config{Reader: w.client, Fresh: caughtUp{backend}, IsBound: typed})
	handlers, err := registryschema.New(registryschema.Config{RESTOptionsGetter: backend.CustomResources(), Authorizer: authorizerfactory.NewAlwaysAllowAuthorizer()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handlers.Close)
	namer := endpointsopenapi.NewDefinitionNamer(s.Scheme)
	w.watches = serve.NewWatches()
	w.endpoint, err = New(Config{
		Cached: w.client, Live: w.client.Live(), Authorizer: w.policy, Activity: &w.activity, Changed: w.watches.Recheck,
		Definitions: resources, Group: own, Scheme: s, IsBound: typed,
		IsStatusByServer: kinds.All.IsStatusByServer, Revision: func(context.Context) (uint64, error) { return 0, nil },
		OpenAPIV3: genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer),
		OpenAPIV2: genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer),
	})
	if err != nil {
		t.Fatal(err)
	}
	served := &virtual.Handler{
		List: virtual.List{w.endpoint},
		Version: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			responsewriters.WriteRawJSON(http.StatusOK, version.Info{GitVersion: "v1.37.2"}, rw)
		}),
		Serve: serve.New(serve.Config{
			Watches: w.watches, Catalog: resources, Inactive: func(logicalcluster.Name) bool { return false },
			Schemas: handlers, Filters: func(schema.GroupResource) bool { return true }, Codecs: s.Codecs,
			API: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { w.typed = append(w.typed, req) }),
		}),
	}
	info := &genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	authorized := filters.WithAuthorization(served, w.endpoint, s.Codecs)
	w.handler = filters.WithAuditInit(filters.WithRequestInfo(authorized, info))
	return w
}

// create stores obj as the server does.
func (w *world) create(resource string, cluster logicalcluster.Name, obj interface {
	metav1.Object
	runtime.Object
}) {
	w.t.Helper()
	if _, err := w.client.Create(w.t.Context(), schema.GroupResource{Group: "apis.kcp.io", Resource: resource}, cluster, obj); err != nil {
		w.t.Fatal(err)
	}
}

// provider is the cluster of all exports.
const provider = logicalcluster.Name("provider")

// offer makes an export of the provider, with one schema for each resource that it offers.
func (w *world) offer(export, hash string, resources ...string) {
	w.t.Helper()
	obj := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: export}, Status: apisv1alpha2.APIExportStatus{IdentityHash: hash}}
	for _, resource := range resources {
		name := "v1-" + export + "." + resource + ".example.com"
		w.create("apiresourceschemas", provider, newSchema(name, resource, true))
		obj.Spec.Resources = append(obj.Spec.Resources, apisv1alpha2.ResourceSchema{
			Name: resource, Group: "example.com", Schema: name, Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
		})
	}
	w.create("apiexports", provider, obj)
}

func newSchema(name, resource string, scale bool) *apisv1alpha1.APIResourceSchema {
	kind := map[string]string{"widgets": "Widget", "gadgets": "Gadget"}[resource]
	s := &apisv1alpha1.APIResourceSchema{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: apisv1alpha1.APIResourceSchemaSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: resource, Singular: resource[:len(resource)-1], Kind: kind, ListKind: kind + "List"},
			Versions: []apisv1alpha1.APIResourceVersion{{
				Name: "v1", Storage: true,
				Schema: runtime.RawExtension{Raw: []byte(`{"type":"object","properties":{
					"spec":{"type":"object","properties":{"color":{"type":"string"},"replicas":{"type":"integer"}}},
					"status":{"type":"object","properties":{"replicas":{"type":"integer"},"phase":{"type":"string"}}}}}`)},
				Subresources: apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			}},
		},
	}
	if scale {
		s.Spec.Versions[0].Subresources.Scale = &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas"}
	}
	return s
}

// bind makes a binding in consumer to an export of the provider that has bound the resources.
func (w *world) bind(consumer logicalcluster.Name, name, export, hash string, resources ...string) {
	w.t.Helper()
	binding := &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue(provider, export),
		}},
		Spec: apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{
			Export: &apisv1alpha2.ExportBindingReference{Path: string(provider), Name: export},
		}},
		Status: apisv1alpha2.APIBindingStatus{APIExportClusterName: string(provider), Phase: apisv1alpha2.APIBindingPhaseBound},
	}
	for _, resource := range resources {
		binding.Status.BoundResources = append(binding.Status.BoundResources, apisv1alpha2.BoundAPIResource{
			Group: "example.com", Resource: resource,
			Schema: apisv1alpha2.BoundAPIResourceSchema{Name: "x", UID: "x-" + resource, IdentityHash: hash},
		})
	}
	w.create("apibindings", consumer, binding)
}

// request is one to the virtual workspace of an export of the provider.
type request struct {
	who, method, export, target, path string
	body                              any
	contentType, accept               string
}

func (w *world) prepare(ctx context.Context, r request) *http.Request {
	w.t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	if r.who == "" {
		r.who = "alice"
	}
	if r.export == "" {
		r.export = "things"
	}
	if r.contentType == "" {
		r.contentType = "application/json"
	}
	var content []byte
	if r.body != nil {
		var err error
		if content, err = json.Marshal(r.body); err != nil {
			w.t.Fatal(err)
		}
	}
	req := httptest.NewRequest(r.method, r.path, bytes.NewReader(content))
	req.Header.Set("Content-Type", r.contentType)
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	who := &user.DefaultInfo{Name: r.who}
	if r.who == "master" {
		who.Groups = []string{user.SystemPrivilegedGroup}
	}
	ctx = genericapirequest.WithUser(ctx, who)
	ctx = virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: Name, Cluster: provider, Name: r.export})
	if r.target == "*" {
		ctx = logicalcluster.WithWildcard(ctx)
	} else {
		ctx = logicalcluster.WithCluster(ctx, logicalcluster.Name(r.target))
	}
	return req.WithContext(ctx)
}

// do answers with status and object.
func (w *world) do(r request) (int, *unstructured.Unstructured) {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, w.prepare(w.t.Context(), r))
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	if err := utiljson.Unmarshal(recorder.Body.Bytes(), &obj.Object); err != nil {
		obj.Object = map[string]any{"message": recorder.Body.String()}
	}
	return recorder.Code, obj
}

// must is do for requests that succeed.
func (w *world) must(r request) *unstructured.Unstructured {
	w.t.Helper()
	code, obj := w.do(r)
	if code >= 300 {
		w.t.Fatalf("%s %s in %s: %d %v", r.method, r.path, r.target, code, obj.Object["message"])
	}
	return obj
}

// items lists what a list holds, each as cluster|namespace/name.
func items(list *unstructured.Unstructured) []string {
	all := []string{}
	for _, item := range list.Object["items"].([]any) {
		obj := &unstructured.Unstructured{Object: item.(map[string]any)}
		all = append(all, describe(obj))
	}
	return all
}

func describe(obj *unstructured.Unstructured) string {
	return obj.GetAnnotations()[logicalcluster.AnnotationKey] + "|" + obj.GetNamespace() + "/" + obj.GetName()
}

const widgetsIn = "/apis/example.com/v1/namespaces/default/widgets"

func widget(name, color string) map[string]any {
	return map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"color": color},
	}
}
