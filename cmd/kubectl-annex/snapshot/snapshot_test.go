package snapshot

import (
	"strings"
	"testing"
)

const widgets = `# a comment
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.example.com
  creationTimestamp: null
  labels: {a: b}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [w]}
  versions:
  - name: v1
    served: true
    storage: true
    deprecated: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    selectableFields: [{jsonPath: .spec.color}]
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}, color: {type: string}}}}
status: {acceptedNames: {kind: Widget, plural: widgets}, conditions: [], storedVersions: [v1]}
---
`

func TestWrite(t *testing.T) {
	var out, again strings.Builder
	if err := Write(&out, strings.NewReader(widgets), "v1", YAML); err != nil {
		t.Fatal(err)
	}
	if err := Write(&again, strings.NewReader(widgets), "v1", YAML); err != nil || again.String() != out.String() {
		t.Errorf("twice: %v\n%s\n%s", err, &out, &again)
	}
	for _, want := range []string{
		"apiVersion: apis.kcp.io/v1alpha1\n", "kind: APIResourceSchema\n", "name: v1.widgets.example.com\n", "deprecated: true", "jsonPath: .spec.color",
		"jsonPath: .spec.size", "shortNames:", "subresources:", "scope: Namespaced", "size:",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	for _, unwanted := range []string{"creationTimestamp", "labels", "acceptedNames", "storedVersions"} {
		if strings.Contains(out.String(), unwanted) {
			t.Errorf("%q is in\n%s", unwanted, &out)
		}
	}
	if strings.Count(out.String(), "\n---\n") != 1 || !strings.HasSuffix(out.String(), "\n---\n") {
		t.Errorf("documents are not divided:\n%s", &out)
	}
	out.Reset()
	if err := Write(&out, strings.NewReader(widgets+widgets), "v2", JSON); err != nil || strings.Count(out.String(), `"name": "v2.widgets.example.com"`) != 2 {
		t.Errorf("JSON: %v\n%s", err, &out)
	}
}

func TestWrite_Faults(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"another kind":     {widgets + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", `"ConfigMap" of "v1"`},
		"an old version":   {strings.Replace(widgets, "io/v1\n", "io/v1beta1\n", 1), "v1beta1"},
		"no YAML":          {"a: [", "reading YAML"},
		"a field too deep": {strings.Replace(widgets, "group: example.com", "group: [a]", 1), "reading a CustomResourceDefinition"},
	} {
		var out strings.Builder
		if err := Write(&out, strings.NewReader(test.in), "v1", YAML); err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
			t.Errorf("%s: %v, want %q; printed %q", name, err, test.want, out.String())
		}
	}
}
