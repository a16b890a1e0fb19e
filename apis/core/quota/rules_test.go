package quota

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	widgets    = schema.GroupResource{Group: "example.com", Resource: "widgets"}
)

func hard(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func quota(name string, pairs ...string) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ResourceQuotaSpec{Hard: hard(pairs...)}}
}

func TestRules_CountWhatAWorkspaceHas(t *testing.T) {
	for name, wanted := range map[string]string{
		"configmaps": "configmaps", "secrets": "secrets", "resourcequotas": "resourcequotas", "count/configmaps": "configmaps",
		"count/widgets.example.com": "widgets.example.com", "count/events.example.com": "events.example.com",
		"pods": "", "services": "", "requests.cpu": "", "limits.memory": "", "example.com/gpu": "", "count/": "", "count/events": "", "count/events.events.k8s.io": "", "count/logicalclusters.core.kcp.io": "", "count/workspaces.tenancy.kcp.io": "workspaces.tenancy.kcp.io",
	} {
		all := RulesOf([]*corev1.ResourceQuota{quota("q", name, "1")}).Resources()
		if wanted == "" && len(all) == 0 || len(all) == 1 && all[0].String() == wanted {
			continue
		}
		t.Errorf("%s limits %v, want %q", name, all, wanted)
	}
	scoped := quota("q", "configmaps", "1")
	scoped.Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating}
	selected := quota("r", "configmaps", "1")
	selected.Spec.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{}}}
	empty := quota("s", "configmaps", "1")
	empty.Spec.ScopeSelector = &corev1.ScopeSelector{}
	if rules := RulesOf([]*corev1.ResourceQuota{scoped, selected, empty}); len(rules) != 1 || rules["s"] == nil {
		t.Errorf("got %v", rules)
	}
}

func TestRules_Exceeded(t *testing.T) {
	rules := RulesOf([]*corev1.ResourceQuota{
		quota("b", "configmaps", "3", "count/configmaps", "2", "secrets", "0"), quota("a", "count/widgets.example.com", "1k", "configmaps", "2"), quota("c", "pods", "0"),
	})
	for name, tt := range map[string]struct {
		gr   schema.GroupResource
		used int64
		want string
	}{
		"room":                 {configMaps, 1, ""},
		"full":                 {configMaps, 2, "exceeded quota: a, requested: configmaps=1, used: configmaps=2, limited: configmaps=2"},
		"nothing may be there": {schema.GroupResource{Resource: "secrets"}, 0, "exceeded quota: b, requested: secrets=1, used: secrets=0, limited: secrets=0"},
		"a quantity":           {widgets, 1000, "exceeded quota: a, requested: count/widgets.example.com=1, used: count/widgets.example.com=1k, limited: count/widgets.example.com=1k"},
		"not limited":          {schema.GroupResource{Resource: "serviceaccounts"}, 1 << 40, ""},
		"a namesake":           {schema.GroupResource{Group: "example.org", Resource: "widgets"}, 1000, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := rules.Exceeded(tt.gr, tt.used); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
	two := RulesOf([]*corev1.ResourceQuota{quota("q", "configmaps", "2", "count/configmaps", "2")})
	want := "exceeded quota: q, requested: configmaps=1,count/configmaps=1, used: configmaps=5,count/configmaps=5, limited: configmaps=2,count/configmaps=2"
	if err := two.Exceeded(configMaps, 5); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestRules_Limit(t *testing.T) {
	rules := RulesOf([]*corev1.ResourceQuota{quota("a", "configmaps", "1Ki"), quota("b", "count/widgets.example.com", "1000")})
	if rules.Equal(rules.With("a", HardOf(&corev1.ResourceQuotaSpec{Hard: hard("configmaps", "1024")}))) {
		t.Error("the words of a refusal are others")
	}
	rules = rules.With("c", HardOf(&corev1.ResourceQuotaSpec{Hard: hard("configmaps", "2000", "count/configmaps", "1500m", "secrets", "1e30")}))
	for name, tt := range map[string]struct {
		rules   Rules
		gr      schema.GroupResource
		most    int64
		limited bool
	}{
		"the lowest":     {rules, configMaps, 1, true},
		"of two quotas":  {rules.With("c", HardOf(&corev1.ResourceQuotaSpec{Hard: hard("configmaps", "2000")})), configMaps, 1024, true},
		"custom":         {rules, widgets, 1000, true},
		"a great number": {rules, schema.GroupResource{Resource: "secrets"}, unreachable, true},
		"not limited":    {rules, schema.GroupResource{Resource: "leases"}, 0, false},
		"no quotas":      {nil, configMaps, 0, false},
	} {
		if most, limited := tt.rules.Most(tt.gr); most != tt.most || limited != tt.limited {
			t.Errorf("%s: %d, %t", name, most, limited)
		}
	}
}

func TestStatus(t *testing.T) {
	counts := map[schema.GroupResource]int64{configMaps: 3, widgets: 7}
	q := quota("q", "configmaps", "1", "count/widgets.example.com", "9", "pods", "4", "requests.cpu", "2", "count/events", "3")
	all := Counts{Namespace: counts, Cluster: map[schema.GroupResource]int64{configMaps: 30}}
	want := corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: hard("configmaps", "3", "count/widgets.example.com", "7", "pods", "0", "requests.cpu", "0")}
	if got := Status(q, all); !apiequality.Semantic.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	q.Namespace, q.Annotations = "admin", map[string]string{ClusterScopedAnnotationKey: "true"}
	if got := Status(q, all).Used[corev1.ResourceConfigMaps]; got.Value() != 30 {
		t.Errorf("a quota for the workspace counts %v", got.String())
	}
	q.Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}
	if got := Status(q, all).Used[corev1.ResourceConfigMaps]; !got.IsZero() {
		t.Errorf("a quota with scopes counts %v", got.String())
	}
}

func TestRules_AreOfTheNamespaceOrOfTheWorkspace(t *testing.T) {
	at := func(name, namespace, annotation string) *corev1.ResourceQuota {
		q := quota(name, "configmaps", "1")
		q.Namespace, q.Annotations = namespace, map[string]string{ClusterScopedAnnotationKey: annotation}
		return q
	}
	all := []*corev1.ResourceQuota{
		at("whole", "admin", "true"), at("false", "admin", "false"), at("odd", "admin", "True"), at("elsewhere", "default", "true"), quota("plain", "secrets", "1"),
	}
	if rules := ClusterRulesOf(all); len(rules) != 1 || rules["whole"] == nil {
		t.Errorf("of the workspace: %v", rules)
	}
	if rules := RulesOf(all); len(rules) != 4 || rules["whole"] != nil {
		t.Errorf("of the namespace: %v", rules)
	}
}
