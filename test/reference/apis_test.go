package reference

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// document is the file, from this folder.
const document = "../../docs/reference/apis.md"

var update = flag.Bool("update", false, "write docs/reference/apis.md anew")

// TestAPIs compares the file with what a server says about a workspace that nobody has touched.
func TestAPIs(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "reference", "universal")
	r := newReader(t, server.Workspace(path))
	var groups []apidiscoveryv2.APIGroupDiscovery
	for _, path := range []string{"/api", "/apis"} {
		var list apidiscoveryv2.APIGroupDiscoveryList
		r.read(path, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", &list)
		groups = append(groups, list.Items...)
	}
	slices.SortFunc(groups, func(a, b apidiscoveryv2.APIGroupDiscovery) int { return cmp.Compare(a.Name, b.Name) })
	want := render(groups, r.rendered(groups))
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/reference/apis.md is not what a workspace serves; write it with `make generate`. It should be:\n%s", want)
	}
}

// reader reads from a workspace.
type reader struct {
	t      *testing.T
	url    string
	client *http.Client
}

func newReader(t *testing.T, config *rest.Config) *reader {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t: t, url: config.Host, client: client}
}

func (r *reader) read(path, accept string, into any) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	answer, err := r.client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", answer.Status)
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		r.t.Fatalf("reading %s: %v", path, err)
	}
}

// rendered returns the resources of which the workspace has objects that are not stored: those have one resourceVersion in common, and no
// other two objects have.
func (r *reader) rendered(groups []apidiscoveryv2.APIGroupDiscovery) map[string]bool {
	r.t.Helper()
	found := map[string][]string{} // resources by resourceVersion
	for _, group := range groups {
		version := group.Versions[0]
		for _, resource := range version.Resources {
			if !slices.Contains(resource.Verbs, "list") {
				continue
			}
			var list metav1.PartialObjectMetadataList
			r.read(pathOf(group.Name, version.Version)+"/"+resource.Resource, "application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadataList", &list)
			for _, object := range list.Items {
				found[object.ResourceVersion] = append(found[object.ResourceVersion], nameOf(group.Name, resource.Resource))
			}
		}
	}
	rendered := map[string]bool{}
	for _, resources := range found {
		for _, name := range resources {
			rendered[name] = len(resources) > 1 && name != "logicalclusters.core.kcp.io" || rendered[name]
		}
	}
	return rendered
}

func pathOf(group, version string) string {
	if group == "" {
		return "/api/" + version
	}
	return "/apis/" + group + "/" + version
}

func nameOf(group, resource string) string { return strings.TrimSuffix(resource+"."+group, ".") }

// render returns the document.
func render(groups []apidiscoveryv2.APIGroupDiscovery, rendered map[string]bool) string {
	var b strings.Builder
	b.WriteString(`# APIs of a workspace

<!-- Written by make generate. Do not edit. -->

Every workspace serves these APIs. Those of ` + "`tenancy.kcp.io` and `topology.kcp.io`" + ` are served because the workspace binds them by default. A
workspace also serves the APIs that it defines with CustomResourceDefinitions or binds with APIBindings. The [fields of the kinds of
Annex](../api-reference.md) have a page of their own.

The last column says how objects are kept:

- *stored*: in etcd.
- *stored, rendered*: in etcd, apart from those that a new workspace contains. These [are not stored](../request.md#what-is-not-stored)
  before somebody changes them.
- *review*: not at all. The server answers the request.
`)
	for _, group := range groups {
		name := group.Name
		if name == "" {
			name = "core"
		}
		for i, version := range group.Versions {
			fmt.Fprintf(&b, "\n## %s/%s\n\n", name, version.Version)
			if i > 0 {
				b.WriteString("Resources of this version that are also in a newer one have the same objects.\n\n")
			}
			b.WriteString("| resource | kind | scope | short names | categories | verbs | subresources | objects |\n|---|---|---|---|---|---|---|---|\n")
			resources := slices.Clone(version.Resources)
			slices.SortFunc(resources, func(a, b apidiscoveryv2.APIResourceDiscovery) int { return cmp.Compare(a.Resource, b.Resource) })
			for _, resource := range resources {
				fmt.Fprintf(&b, "| %s |\n", strings.Join([]string{
					"`" + resource.Resource + "`", resource.ResponseKind.Kind, string(resource.Scope), list(resource.ShortNames), list(resource.Categories), list(resource.Verbs),
					subresources(resource.Subresources), kept(resource.Verbs, rendered[nameOf(group.Name, resource.Resource)]),
				}, " | "))
			}
		}
	}
	return b.String()
}

func list(words []string) string {
	words = slices.Clone(words)
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func subresources(all []apidiscoveryv2.APISubresourceDiscovery) string {
	var parts []string
	for _, s := range all {
		parts = append(parts, fmt.Sprintf("`%s` (%s)", s.Subresource, list(s.Verbs)))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func kept(verbs []string, rendered bool) string {
	switch {
	case !slices.Contains(verbs, "get"):
		return "review"
	case rendered:
		return "stored, rendered"
	}
	return "stored"
}
