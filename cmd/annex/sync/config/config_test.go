package config

import (
	"strings"
	"testing"
)

const valid = `
apiVersion: annex.dev/v1alpha1
kind: SyncConfiguration
export: certificates
workspace: {path: "root:certificates"}
resources:
- group: cert-manager.io
  resource: certificates
  related:
  - {id: tls, resource: secrets, origin: Service, reference: spec.secretName}
`

func TestParse_Defaults(t *testing.T) {
	c, err := Parse([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	if c.Agent != "certificates" || c.Naming.Layout != NamespacePerNamespace || c.Naming.NamespacePrefix != "sync-" || c.Resources[0].Offered() != "certificates.cert-manager.io" {
		t.Errorf("defaults: %+v", c)
	}
}

// Each fault is named with its field.
func TestParse_Faults(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, want string }{
		"a field that does not exist":        {"export:", "exports: x\nexport:", "unknown field"},
		"a field twice":                      {"export:", "export: a\nexport:", "already set"},
		"another kind":                       {"SyncConfiguration", "Sync", "want a SyncConfiguration"},
		"another version":                    {"v1alpha1", "v1", "want a SyncConfiguration"},
		"no export":                          {"export: certificates", "export: \"\"", "export: Invalid value"},
		"an agent that is no label":          {"export:", "agent: a/b\nexport:", "agent: Invalid value"},
		"no workspace":                       {`path: "root:certificates"`, "", "workspace: Required value"},
		"two ways to the workspace":          {`"root:certificates"`, `"root:certificates", kubeconfig: x`, "workspace: Invalid value"},
		"a path that is not absolute":        {"root:certificates", "certificates", "workspace.path: Invalid value"},
		"a bad path":                         {"root:certificates", "root:../x", "workspace.path: Invalid value"},
		"an unknown layout":                  {"export:", "naming: {layout: Mixed}\nexport:", "naming.layout: Unsupported value"},
		"a prefix that is too long":          {"export:", "naming: {namespacePrefix: abcdefghijklmnopqrstu}\nexport:", "naming.namespacePrefix: Invalid value"},
		"a prefix of system namespaces":      {"export:", "naming: {namespacePrefix: -kube}\nexport:", "naming.namespacePrefix: Invalid value"},
		"labels of the agent on namespaces":  {"export:", "naming: {namespaceLabels: {sync.annex.dev/agent: b}}\nexport:", "naming.namespaceLabels[sync.annex.dev/agent]: Forbidden"},
		"bad labels of namespaces":           {"export:", "naming: {namespaceLabels: {a: b/c}}\nexport:", "naming.namespaceLabels: Invalid value"},
		"one namespace without its name":     {"export:", "naming: {layout: SingleNamespace}\nexport:", "naming.namespace: Required value"},
		"a namespace for another layout":     {"export:", "naming: {namespace: a}\nexport:", "naming.namespace: Forbidden"},
		"no resources":                       {valid[strings.Index(valid, "resources:"):], "resources: []\n", "resources: Required value"},
		"a resource twice":                   {"  related:", "- {group: cert-manager.io, resource: certificates}\n- group: a.io\n  resource: as\n  related:", "resources[1]: Duplicate value"},
		"two resources of one name":          {"  related:", "- {group: a.io, resource: as, projection: {group: cert-manager.io, plural: certificates}}\n- group: b.io\n  resource: bs\n  related:", "resources[1]: Duplicate value"},
		"a scope":                            {"  related:", "  projection: {scope: namespaced}\n  related:", "resources[0].projection.scope: Unsupported value"},
		"a rule with two":                    {"  related:", "  mutation: {spec: [{delete: {path: spec.a}, forbid: {path: spec.b}}]}\n  related:", "resources[0].mutation.spec[0]: Invalid value"},
		"a rule for metadata":                {"  related:", "  mutation: {spec: [{set: {path: metadata.namespace, value: kube-system}}]}\n  related:", "mutation.spec[0].set.path: Invalid value"},
		"a rule for the kind":                {"  related:", "  mutation: {spec: [{delete: {path: kind}}]}\n  related:", "mutation.spec[0].delete.path: Invalid value"},
		"a rule for the status among others": {"  related:", "  mutation: {spec: [{delete: {path: status.a}}]}\n  related:", "mutation.spec[0].delete.path: Invalid value"},
		"a rule without a value":             {"  related:", "  mutation: {spec: [{set: {path: spec.a}}]}\n  related:", "mutation.spec[0].set.value: Required value"},
		"a bad pattern":                      {"  related:", "  mutation: {spec: [{replace: {path: spec.a, pattern: '('}}]}\n  related:", "replace.pattern: Invalid value"},
		"forbid on the way back":             {"  related:", "  mutation: {status: [{forbid: {path: status.a}}]}\n  related:", "mutation.status[0].forbid: Forbidden"},
		"labels of the agent":                {"  related:", "  metadata: {labels: [sync.annex.dev/agent]}\n  related:", "metadata.labels[0]: Forbidden"},
		"labels of Kubernetes":               {"  related:", "  metadata: {labels: ['pod-security.kubernetes.io/*']}\n  related:", "metadata.labels[0]: Forbidden"},
		"related objects of another kind":    {"resource: secrets", "resource: pods", "related[0].resource: Unsupported value"},
		"an unknown origin":                  {"origin: Service", "origin: kcp", "related[0].origin: Unsupported value"},
		"related objects found in two ways":  {"reference: spec.secretName", "reference: spec.secretName, name: $(name)", "related[0]: Invalid value"},
		"related objects found in no way":    {", reference: spec.secretName", "", "related[0]: Invalid value"},
		"a fixed name":                       {"reference: spec.secretName", "name: admin", "related[0].name: Invalid value"},
		"a bad reference":                    {"spec.secretName", "spec..a", "related[0].reference: Invalid value"},
		"a selector of everything":           {"reference: spec.secretName", "selector: {}", "related[0].selector: Required value"},
		"a status that consumers write":      {"origin: Service, reference: spec.secretName", "origin: Workspace, reference: status.secretName", "related[0].reference: Invalid value"},
		"a shared namespace to read from":    {"reference: spec.secretName", "reference: spec.secretName, serviceNamespace: kube-system", "related[0].serviceNamespace: Forbidden"},
		"a selector in a shared namespace": {valid, strings.NewReplacer("export:", "naming: {layout: SingleNamespace, namespace: a}\nexport:", "reference: spec.secretName", "selector: {matchLabels: {a: b}}").Replace(valid),
			"related[0]: Invalid value"},
		"a status in a shared namespace": {valid, strings.NewReplacer("export:", "naming: {layout: NamespacePerConsumer}\nexport:", "spec.secretName", "status.secretName").Replace(valid),
			"related[0]: Invalid value"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(valid, tc.old, tc.new, 1)
			if text == valid {
				t.Fatal("nothing was changed")
			}
			if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestLoad_Examples(t *testing.T) {
	c, err := Load("../../../../examples/sync/sync.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Resources) != 3 {
		t.Errorf("%d resources", len(c.Resources))
	}
}
