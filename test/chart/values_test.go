package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"
)

// node is a part of values.schema.json, as far as this test reads it.
type node struct {
	Type                 any              `json:"type"`
	Properties           map[string]*node `json:"properties"`
	AdditionalProperties any              `json:"additionalProperties"`
	Items                *node            `json:"items"`
}

// exceptions are what the comparison of schema and values lets pass, each once.
type exceptions struct{ free, optional sets.Set[string] }

// known returns the exceptions of the chart.
func known() exceptions {
	return exceptions{
		// Objects whose fields others define: Kubernetes, the Prometheus operator, or charts around this one.
		free: sets.New("global", "tolerations[]", "affinity", "topologySpreadConstraints[]", "podSecurityContext", "securityContext", "extraEnv[]",
			"extraVolumes[]", "extraVolumeMounts[]", "networkPolicy.ingressFrom[]", "networkPolicy.egress[]", "serviceMonitor.tlsConfig",
			"serviceMonitor.authorization", "serviceMonitor.relabelings[]", "serviceMonitor.metricRelabelings[]", "audit.policy.rules[]",
			"authentication.config.jwt[]"),
		// Values without a default, since their object is empty by default. The first one is for charts around this one.
		optional: sets.New("enabled", "tls.certManager.issuerRef.name", "tls.certManager.issuerRef.kind", "tls.certManager.issuerRef.group",
			"audit.policy.omitStages", "audit.policy.omitManagedFields", "audit.policy.rules", "resources.limits",
			"authentication.config.jwt", "authentication.config.anonymous"),
	}
}

// The schema knows every value, and nothing but them.
func TestSchema_IsComplete(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema node
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(filepath.Join(chartDir, "values.yaml")); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(content, &values); err != nil {
		t.Fatal(err)
	}
	e := known()
	e.compare(t, "", &schema, values)
	if len(e.free)+len(e.optional) > 0 {
		t.Errorf("exceptions that are none: %q, %q", sets.List(e.free), sets.List(e.optional))
	}
}

// compare walks down schema and values; it takes away the exceptions that it finds.
func (e exceptions) compare(t *testing.T, path string, schema *node, value any) {
	t.Helper()
	below := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	if schema.Type == nil {
		t.Errorf("%s: the schema gives no type", path)
	}
	if schema.Items != nil {
		e.compare(t, path+"[]", schema.Items, nil)
	} else if schema.Type == "array" {
		t.Errorf("%s: the schema does not say what is in the list", path)
	}
	if schema.Type != "object" {
		return
	}
	if schema.AdditionalProperties == nil {
		if !e.free.Has(path) {
			t.Errorf("%s: the schema takes any field", path)
		}
		e.free.Delete(path)
	}
	object, _ := value.(map[string]any)
	for name, property := range schema.Properties {
		if _, ok := object[name]; !ok && value != nil && !e.optional.Has(below(name)) {
			t.Errorf("%s is in the schema and not in values.yaml", below(name))
		}
		e.optional.Delete(below(name))
		e.compare(t, below(name), property, object[name])
	}
	for name := range object {
		if schema.Properties[name] == nil && len(schema.Properties) > 0 {
			t.Errorf("%s is in values.yaml and not in the schema", below(name))
		}
	}
}

func TestSchema_Refuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  []string
		want string
	}{
		{"a value that does not exist", []string{"replica=2"}, "additional properties 'replica' not allowed"},
		{"a value that does not exist, deeper", []string{"etcd.endpoint=https://etcd:2379"}, "at '/etcd': additional properties 'endpoint' not allowed"},
		{"a tag that YAML reads as a number", []string{"image.tag=1"}, "at '/image/tag': got number, want string"},
		{"a registry with a scheme", []string{"image.registry=https://registry.example.com"}, "at '/image/registry': 'https://registry.example.com' does not match"},
		{"a short digest", []string{"image.digest=sha256:12"}, "at '/image/digest': 'sha256:12' does not match"},
		{"a pull policy", []string{"image.pullPolicy=always"}, "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"},
		{"pull secrets by name alone", []string{"imagePullSecrets[0]=secret"}, "at '/imagePullSecrets/0': got string, want object"},
		{"less than nothing", []string{"replicas=-1"}, "at '/replicas': minimum: got -1, want 0"},
		{"endpoints as one string", []string{"etcd.endpoints=https://etcd:2379"}, "at '/etcd/endpoints': got string, want array"},
		{"an endpoint without a scheme", []string{"etcd.endpoints[0]=etcd:2379"}, "at '/etcd/endpoints/0': 'etcd:2379' does not match"},
		{"the same endpoint twice", []string{"etcd.endpoints[0]=https://a:1", "etcd.endpoints[1]=https://a:1"}, "at '/etcd/endpoints': items at 0 and 1 are equal"},
		{"a prefix without a slash", []string{"etcd.prefix=annex"}, "at '/etcd/prefix': 'annex' does not match"},
		{"a size without a unit that exists", []string{"persistence.size=20GB"}, "at '/persistence/size': '20GB' does not match"},
		{"an access mode that cannot write", []string{"persistence.accessModes[0]=ReadOnlyMany"}, "at '/persistence/accessModes/0': value must be one of"},
		{"a type of certificate", []string{"tls.type=helm"}, "at '/tls/type': value must be one of 'annex', 'cert-manager', 'existingSecret'"},
		{"a name in the certificate", []string{"tls.extraSANs[0]=https://annex.example.com"}, "at '/tls/extraSANs/0'"},
		{"an issuer without a name", []string{"tls.type=cert-manager", "tls.certManager.issuerRef.kind=ClusterIssuer"}, "at '/tls/certManager/issuerRef': properties 'name' required, if 'kind' exists"},
		{"no host workspace", []string{"hostWorkspace="}, "at '/hostWorkspace': '' does not match"},
		{"an external URL without TLS", []string{"externalURL=http://annex.example.com"}, "at '/externalURL'"},
		{"a port", []string{"service.port=70000"}, "at '/service/port': maximum: got 70,000, want 65,535"},
		{"a type of Service", []string{"service.type=ExternalName"}, "at '/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"},
		{"an audit policy without rules", []string{"audit.policy.omitManagedFields=true"}, "at '/audit/policy': properties 'rules' required, if 'omitManagedFields' exists"},
		{"an audit policy with its kind", []string{"audit.policy.kind=Policy", "audit.policy.rules[0].level=None"}, "at '/audit/policy': additional properties 'kind' not allowed"},
		{"a relative audit log", []string{"audit.logPath=audit.log"}, "at '/audit/logPath': 'audit.log' does not match"},
		{"a webhook for events that nobody makes", []string{"audit.webhook.existingSecret=hook"}, "audit.webhook.existingSecret: has no effect without audit.policy"},
		{"a key of a Secret in a folder", []string{"encryption.key=a/b"}, "at '/encryption/key': 'a/b' does not match"},
		{"a collector with a scheme", []string{"tracing.endpoint=http://collector:4317"}, "at '/tracing/endpoint': 'http://collector:4317' does not match"},
		{"more traces than requests", []string{"tracing.endpoint=a:1", "tracing.samplingRatePerMillion=1000001"}, "at '/tracing/samplingRatePerMillion': maximum: got 1.000001"},
		{"traces for nobody", []string{"tracing.samplingRatePerMillion=1"}, "tracing.samplingRatePerMillion: has no effect without tracing.endpoint"},
		{"an issuer that nobody knows", []string{"authentication.config.jwt[0].issuer.url=https://x"}, "at '/authentication/config/jwt/0': missing property 'claimMappings'"},
		{"a configuration with its kind", []string{"authentication.config.kind=AuthenticationConfiguration"}, "at '/authentication/config': additional properties 'kind' not allowed"},
		{"a path that is none", []string{"authentication.config.anonymous.enabled=true", "authentication.config.anonymous.conditions[0].path=version"}, "at '/authentication/config/anonymous/conditions/0/path': 'version' does not match"},
		{"a webhook that nobody asks", []string{"authorization.webhook.existingSecret=hook", "authorization.order={RBAC}"}, "authorization.webhook.existingSecret: has no effect without Webhook in authorization.order"},
		{"an unknown authorizer", []string{"authorization.order={RBAC,Node}"}, "at '/authorization/order/1': value must be one of 'AlwaysAllowGroups', 'AlwaysAllowPaths', 'RBAC', 'Webhook'"},
		{"a version of reviews", []string{"authentication.webhook.version=v2"}, "at '/authentication/webhook/version': value must be one of 'v1', 'v1beta1'"},
		{"a label that is no string", []string{"podLabels.tier=1"}, "at '/podLabels/tier': got number, want string"},
		{"a probe that never asks", []string{"livenessProbe.periodSeconds=0"}, "at '/livenessProbe/periodSeconds': minimum: got 0, want 1"},
		{"a budget in words", []string{"podDisruptionBudget.maxUnavailable=one"}, "at '/podDisruptionBudget/maxUnavailable': 'one' does not match"},
		{"a switch in words", []string{"networkPolicy.enabled=yes"}, "at '/networkPolicy/enabled': got string, want boolean"},
		{"a flag without dashes", []string{"extraArgs[0]=v=4"}, "at '/extraArgs/0': 'v=4' does not match"},
		{"a volume without a name", []string{"extraVolumes[0].emptyDir.medium=Memory"}, "at '/extraVolumes/0': missing property 'name'"},
		{"too much logging", []string{"logLevel=11"}, "at '/logLevel': maximum: got 11, want 10"},

		{"two servers on one embedded etcd", []string{"replicas=2"}, "replicas: 2 servers need an external etcd; set etcd.endpoints, or do not set replicas"},
		{"TLS for an etcd that is inside", []string{"etcd.tls.existingSecret=etcd"}, "etcd.tls.existingSecret: has no effect without etcd.endpoints"},
		{"other etcds beside one that is inside", []string{"etcd.overrides[0]=/secrets#http://etcd:2379"}, "etcd.overrides: has no effect without etcd.endpoints"},
		{"another etcd without a part", []string{"etcd.endpoints[0]=http://a:2379", "etcd.overrides[0]=secrets#http://b:2379"}, "at '/etcd/overrides/0': 'secrets#http://b:2379' does not match"},
		{"half a client certificate", []string{"etcd.tls.keyKey="}, "etcd.tls.certKey, etcd.tls.keyKey: set both or neither"},
		{"a Secret that is not named", []string{"tls.type=existingSecret"}, "tls.existingSecret: required with tls.type existingSecret"},
		{"a Secret that is not asked for", []string{"tls.existingSecret=serving"}, "tls.existingSecret, tls.caKey: have no effect with tls.type annex; set tls.type to existingSecret"},
		{"names in a certificate that exists", []string{"tls.type=existingSecret", "tls.existingSecret=s", "tls.extraSANs[0]=a.example.com"}, "tls.extraSANs: has no effect with tls.type existingSecret"},
		{"an issuer that is not asked for", []string{"tls.certManager.issuerRef.name=company"}, "tls.certManager.issuerRef: has no effect with tls.type annex; set tls.type to cert-manager"},
		{"a claim that is not used", []string{"persistence.existingClaim=data", "persistence.enabled=false"}, "persistence.existingClaim: has no effect while persistence.enabled is false"},
		{"a claim beside an external etcd", []string{"persistence.existingClaim=data", "etcd.endpoints[0]=http://etcd:2379"}, "persistence.existingClaim: has no effect with etcd.endpoints"},
		{"an end before the Service knows", []string{"shutdown.delaySeconds=5", "etcd.endpoints[0]=http://etcd:2379"}, "shutdown.delaySeconds: 5 is too short; the pod leaves the Service only after 9 seconds (readinessProbe.periodSeconds times failureThreshold)"},
		{"metrics from nobody knows whom", []string{"serviceMonitor.enabled=true"}, "serviceMonitor.tlsConfig: required with tls.type annex"},
		{"a role that does not exist in others", []string{"userRoles.create=false", "userRoles.aggregateToEdit=true"}, "userRoles.aggregateToAdmin, userRoles.aggregateToEdit: have no effect while userRoles.create is false"},
		{"issuers twice", []string{"authentication.config.anonymous.enabled=true", "authentication.existingConfigMap=x"}, "authentication.config, authentication.existingConfigMap: set one or the other"},
		{"administrators of no CA", []string{"clientCA.masters=true"}, "clientCA.masters: has no effect without clientCA.existingConfigMap"},
		{"authorities of mounts that are off", []string{"mounts.caKey=ca.crt"}, "mounts.caKey: has no effect without mounts.existingSecret"},
		{"Secrets that nobody writes", []string{"workspaceAccess.namespaces={argocd}"}, "workspaceAccess.namespaces: has no effect while workspaceAccess.enabled is false"},
		{"Secrets in no namespace", []string{"workspaceAccess.enabled=true", "workspaceAccess.namespaces={a/b}"}, "at '/workspaceAccess/namespaces/0': 'a/b' does not match"},
		{"mounts without a key", []string{"mounts.existingSecret=s", "mounts.keyKey="}, "at '/mounts/keyKey': '' does not match"},
		{"two faults at once", []string{"replicas=2", "tls.type=existingSecret"}, "tls.existingSecret: required"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := []string{"template", release, chartDir}
			for _, set := range tc.set {
				args = append(args, "--set", set)
			}
			_, stderr, err := helm(t, args...)
			if err == nil {
				t.Fatal("it renders")
			}
			if !strings.Contains(stderr, tc.want) {
				t.Errorf("got:\n%s\nwant: %s", stderr, tc.want)
			}
		})
	}
}
