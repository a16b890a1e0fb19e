package stories

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"github.com/annex-dev/annex/test/framework/annex"
)

//go:embed evolution/*.yaml
var evolutionFiles embed.FS

// manifest returns a file of the story of the evolution.
func (s *stage) manifest(name string) string {
	s.Helper()
	data, err := evolutionFiles.ReadFile("evolution/" + name)
	if err != nil {
		s.Fatal(err)
	}
	return string(data)
}

// contains fails the story unless text contains every one of the words.
func (s *stage) contains(what, text string, words ...string) {
	s.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			s.Errorf("%s: %q lacks %q", what, text, word)
		}
	}
}

// person is an object of the provider's API in its first version.
func person(name, first, last string) string {
	return fmt.Sprintf("apiVersion: example.com/v1\nkind: Person\nmetadata: {name: %s, namespace: default}\nspec: {first: %s, last: %s}\n", name, first, last)
}

// evolution is a provider who goes from v1 to v2 under live objects. Consumers go on with both versions, when the provider is gone, too.
func evolution(s *stage) {
	s.types("alice", s.in(s.org), s.manifest("v1.yaml"), "apply", "-f", "-")
	s.offers("people", "bob")
	server := s.door.Server.For(s)
	path, _ := server.NewWorkspace("root", "people-of-"+s.door.Name, "universal")
	server.Kubectl(path, "", "create", "clusterrolebinding", "bob", "--clusterrole=cluster-admin", "--user=bob")
	home := s.in(path)
	s.awaitsSuccess("bob", home, fmt.Sprintf("apiVersion: apis.kcp.io/v1alpha2\nkind: APIBinding\nmetadata: {name: people}\nspec: {reference: {export: {path: %q, name: people}}}\n", s.org), "apply", "-f", "-")
	s.types("bob", home, "", "wait", "apibinding/people", "--for=condition=Ready", "--timeout=2m")
	s.types("bob", home, person("ada", "Ada", "Lovelace"), "apply", "-f", "-")
	s.types("bob", home, "", "patch", "people.v1.example.com", "ada", "--type=merge", "--subresource=status", "-p", `{"status":{"phase":"Known"}}`)

	// What does not fit says what is wrong.
	schema, export, _ := strings.Cut(s.manifest("v2.yaml"), "\n---\n")
	rules := s.manifest("conversion.yaml")
	s.refused("alice", s.in(s.org), "must be the name of an APIResourceSchema in the same workspace", rules, "apply", "-f", "-")
	s.types("alice", s.in(s.org), schema, "apply", "-f", "-")
	s.refused("alice", s.in(s.org), "version v1 has no field .spec.given", strings.Replace(rules, ".spec.first", ".spec.given", 1), "apply", "-f", "-")
	s.contains("rules that lose a field", s.types("alice", s.in(s.org), strings.Replace(rules, "preserve:", "#", 1), "apply", "--dry-run=server", "-f", "-"),
		"Warning: spec.conversions[1]: conversion from v2 to v1 drops .spec.name.middle")
	s.types("alice", s.in(s.org), rules, "apply", "-f", "-")
	s.contains("describe", s.types("alice", s.in(s.org), "", "describe", "apiconversion", "v2.people.example.com"), ".spec.name.first")

	// The export offers the new schema, and live objects are there in both versions.
	s.types("alice", s.in(s.org), export, "apply", "-f", "-")
	s.awaits("bob", home, "Ada LOVELACE Known", "get", "people.v2.example.com", "ada", "-o", "jsonpath={.spec.name.first} {.spec.name.last} {.status.phase}")
	get := func(version, name string) string {
		s.Helper()
		return s.types("bob", home, "", "get", "people."+version+".example.com", name, "-o", "jsonpath={.spec}{.status}")
	}
	s.contains("the old version", get("v1", "ada"), `"first":"Ada"`, `"last":"Lovelace"`, `"phase":"Known"`)
	s.types("bob", home, "apiVersion: example.com/v2\nkind: Person\nmetadata: {name: grace, namespace: default}\nspec: {name: {first: Grace, middle: Brewster, last: HOPPER}}\n", "apply", "-f", "-")
	s.contains("a new object in the old version", get("v1", "grace"), `"first":"Grace"`, `"last":"hopper"`)
	s.types("bob", home, "", "patch", "people.v1.example.com", "grace", "--type=merge", "-p", `{"spec":{"first":"Amazing"}}`)
	s.contains("after a change in the old version", get("v2", "grace"), `"first":"Amazing"`, `"middle":"Brewster"`)
	s.types("bob", home, person("ada", "Augusta", "King"), "apply", "-f", "-")
	s.contains("a list", s.types("bob", home, "", "get", "people.v2.example.com", "-o", "jsonpath={range .items[*]}{.spec.name.first} {end}"), "Augusta Amazing")
	s.refused("bob", home, "cannot be converted from v2 to v1", "apiVersion: example.com/v2\nkind: Person\nmetadata: {name: nobody, namespace: default}\nspec: {age: old}\n", "apply", "-f", "-")

	// The operator works on all consumers in either version, and a consumer does not.
	s.types("alice", s.in(s.org), "", "create", "clusterrole", "people-operator", "--verb=*", "--resource=apiexports.apis.kcp.io/content", "--resource-name=people")
	s.types("alice", s.in(s.org), "", "create", "clusterrolebinding", "people-operator", "--clusterrole=people-operator", "--user=operator")
	everywhere := s.at(apiExport, "people", "*")
	s.awaits("operator", everywhere, "Amazing Augusta", "get", "people.v1.example.com", "-A", "--sort-by=.spec.first", "-o", `go-template={{range $i, $p := .items}}{{if $i}} {{end}}{{$p.spec.first}}{{end}}`)
	s.contains("the provider in v2", s.types("operator", everywhere, "", "get", "people.v2.example.com", "-A", "-o", "jsonpath={range .items[*]}{.spec.name.middle}/{.spec.name.last} {end}"), "Brewster/HOPPER", "/KING")
	s.refused("bob", everywhere, forbidden, "", "get", "people.v2.example.com", "-A")

	// Other rules take effect at once.
	s.types("alice", s.in(s.org), strings.Replace(rules, "self.upperAscii()", "self + '!'", 1), "apply", "-f", "-")
	annex.Eventually(s, func(context.Context) error {
		s.types("bob", home, person("ada", "Augusta", "king"), "apply", "-f", "-")
		if last := s.types("bob", home, "", "get", "people.v2.example.com", "ada", "-o", "jsonpath={.spec.name.last}"); last != "king!" {
			return fmt.Errorf("the last name is %q", last)
		}
		return nil
	})

	// If the provider is gone, its consumers still read what they have in both versions.
	_, name, _ := strings.Cut(s.org, ":")
	server.Kubectl("root", "", "delete", "workspace", name, "--timeout=2m")
	s.contains("without the provider, the old version", get("v1", "grace"), `"first":"Amazing"`, `"last":"hopper"`)
	s.contains("without the provider, the new version", get("v2", "grace"), `"middle":"Brewster"`)
	s.refused("operator", everywhere, forbidden+"|doesn't have a resource type|not found", "", "get", "people.v2.example.com", "-A")
}
