package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

// peopleSchema is an APIResourceSchema, and an APIExport of it.
func peopleSchema(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "evolution", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A provider goes from v1 to v2 under live objects. Consumers go on with both versions.
func TestEvolution_OfAnAPIWithLiveObjects(t *testing.T) {
	server := annex.Start(t)
	provider, cluster := server.NewWorkspace("root", "provider", "")
	consumer, _ := server.NewWorkspace("root", "consumer", "")
	provide, consume := kubectlIn(server, provider), kubectlIn(server, consumer)

	provide(peopleSchema(t, "v1.yaml"), "apply", "-f", "-")
	consume(fmt.Sprintf("apiVersion: apis.kcp.io/v1alpha2\nkind: APIBinding\nmetadata: {name: people}\nspec: {reference: {export: {path: %q, name: people}}}\n", provider), "apply", "-f", "-")
	consume("", "wait", "--for=condition=Ready", "apibinding/people", "--timeout=120s")
	person := func(name, first, last string) string {
		return fmt.Sprintf("apiVersion: example.com/v1\nkind: Person\nmetadata: {name: %s}\nspec: {first: %s, last: %s}\n", name, first, last)
	}
	consume(person("ada", "Ada", "Lovelace"), "apply", "-f", "-")
	consume("", "patch", "people.v1.example.com", "ada", "--type=merge", "--subresource=status", "-p", `{"status":{"phase":"Known"}}`)

	// What does not fit says what is wrong.
	next := peopleSchema(t, "v2.yaml")
	rules := peopleSchema(t, "conversion.yaml")
	contains(t, "rules without a schema", mustFail(t, server, provider, rules, "apply", "-f", "-"), "metadata.name: Invalid value", "must be the name of an APIResourceSchema in the same workspace")
	schema, export, _ := strings.Cut(next, "\n---\n")
	provide(schema, "apply", "-f", "-")
	contains(t, "rules with a field that is missing", mustFail(t, server, provider, strings.Replace(rules, ".spec.first", ".spec.given", 1), "apply", "-f", "-"),
		"spec.conversions[0].rules[0].field: Invalid value", "version v1 has no field .spec.given")
	out, warnings, err := server.TryKubectl(provider, strings.Replace(rules, "preserve:", "#", 1), "apply", "--dry-run=server", "-f", "-")
	if err != nil {
		t.Fatal(out, warnings)
	}
	contains(t, "rules that lose a field", warnings, "Warning: spec.conversions[1]: conversion from v2 to v1 drops .spec.name.middle")
	provide(rules, "apply", "-f", "-")
	contains(t, "describe", provide("", "describe", "apiconversion", "v2.people.example.com"), ".spec.name.first")

	// The export offers the new schema, and live objects are there in both versions.
	provide(export, "apply", "-f", "-")
	eventuallyIs(t, "the old object in the new version", "Ada LOVELACE Known", func() string {
		out, _, _ := server.TryKubectl(consumer, "", "get", "people.v2.example.com", "ada", "-o", "jsonpath={.spec.name.first} {.spec.name.last} {.status.phase}")
		return out
	})
	get := func(version, name string) string {
		return consume("", "get", "people."+version+".example.com", name, "-o", "jsonpath={.spec}{.status}")
	}
	contains(t, "the old version", get("v1", "ada"), `"first":"Ada"`, `"last":"Lovelace"`, `"phase":"Known"`)
	consume("apiVersion: example.com/v2\nkind: Person\nmetadata: {name: grace}\nspec: {name: {first: Grace, middle: Brewster, last: HOPPER}}\n", "apply", "-f", "-")
	contains(t, "a new object in the old version", get("v1", "grace"), `"first":"Grace"`, `"last":"hopper"`)
	consume("", "patch", "people.v1.example.com", "grace", "--type=merge", "-p", `{"spec":{"first":"Amazing"}}`)
	contains(t, "after a change in the old version", get("v2", "grace"), `"first":"Amazing"`, `"middle":"Brewster"`)
	consume(person("ada", "Augusta", "King"), "apply", "-f", "-")
	contains(t, "a list", consume("", "get", "people.v2.example.com", "-o", "jsonpath={range .items[*]}{.spec.name.first} {end}"), "Augusta Amazing")
	contains(t, "what cannot be converted", mustFail(t, server, consumer, "apiVersion: example.com/v2\nkind: Person\nmetadata: {name: nobody}\nspec: {age: old}\n", "apply", "-f", "-"),
		"spec.age: Invalid value", "cannot be converted from v2 to v1")

	// The provider works on all consumers in either version.
	endpoint := server.URL() + "/services/apiexport/" + cluster + "/people/clusters/*"
	at := func(version string) string {
		out, stderr, err := server.TryKubectl(provider, "", "--server", endpoint, "get", "--raw", "/apis/example.com/"+version+"/people")
		if err != nil {
			t.Fatal(stderr)
		}
		return out
	}
	contains(t, "the provider in v1", at("v1"), `"first":"Augusta"`, `"first":"Amazing"`)
	contains(t, "the provider in v2", at("v2"), `"middle":"Brewster"`, `"last":"KING"`)

	// Other rules take effect at once.
	provide(strings.Replace(rules, "self.upperAscii()", "self + '!'", 1), "apply", "-f", "-")
	eventuallyIs(t, "other rules", "king!", func() string {
		consume(person("ada", "Augusta", "king"), "apply", "-f", "-")
		return consume("", "get", "people.v2.example.com", "ada", "-o", "jsonpath={.spec.name.last}")
	})

	// If the provider is gone, its consumers still read what they have in both versions.
	server.Kubectl("root", "", "delete", "workspace", "provider", "--timeout=120s")
	contains(t, "without the provider, the old version", get("v1", "grace"), `"first":"Amazing"`, `"last":"hopper"`)
	contains(t, "without the provider, the new version", get("v2", "grace"), `"middle":"Brewster"`)
}

// eventuallyIs waits until get returns want.
func eventuallyIs(t *testing.T, what, want string, get func() string) {
	t.Helper()
	annex.Eventually(t, func(context.Context) error {
		if got := get(); got != want {
			return fmt.Errorf("%s: %q, want %q", what, got, want)
		}
		return nil
	})
}
