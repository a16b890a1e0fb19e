package core

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimachineryresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestValidateConfigMap(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cm   corev1.ConfigMap
		want []string
	}{
		"good":        {cm: corev1.ConfigMap{Data: map[string]string{"a.b_c-D": ""}, BinaryData: map[string][]byte{"b": nil}}},
		"bad keys":    {corev1.ConfigMap{Data: map[string]string{"a/b": ""}, BinaryData: map[string][]byte{"..": nil}}, []string{"data[a/b]: Invalid value", "binaryData[..]: Invalid value"}},
		"a key twice": {corev1.ConfigMap{Data: map[string]string{"a": ""}, BinaryData: map[string][]byte{"a": nil}}, []string{"data[a]: duplicate of key present in binaryData"}},
		"too large":   {corev1.ConfigMap{Data: map[string]string{"a": strings.Repeat("x", corev1.MaxSecretSize), "b": "y"}}, []string{"[]: Too long"}},
		"just fits":   {cm: corev1.ConfigMap{Data: map[string]string{"a": strings.Repeat("x", corev1.MaxSecretSize)}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { checkErrors(t, validateConfigMap(&tt.cm), tt.want...) })
	}
}

func TestValidateConfigMapUpdate(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	old := corev1.ConfigMap{Immutable: &yes, Data: map[string]string{"a": "b"}}
	tests := map[string]struct {
		cm, old corev1.ConfigMap
		want    []string
	}{
		"the same":      {cm: old, old: old},
		"metadata":      {cm: corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Immutable: &yes, Data: old.Data}, old: old},
		"mutable":       {cm: corev1.ConfigMap{Data: map[string]string{"a": "c"}}, old: corev1.ConfigMap{Immutable: &no, Data: old.Data}},
		"is frozen now": {cm: old, old: corev1.ConfigMap{Data: map[string]string{"a": "c"}}},
		"thawed":        {corev1.ConfigMap{Immutable: &no, Data: old.Data}, old, []string{"immutable: Forbidden"}},
		"all":           {corev1.ConfigMap{BinaryData: map[string][]byte{"a": nil}}, old, []string{"immutable: Forbidden", "data: Forbidden", "binaryData: Forbidden"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { checkErrors(t, validateConfigMapUpdate(&tt.cm, &tt.old), tt.want...) })
	}
}

func TestValidateSecret(t *testing.T) {
	t.Parallel()
	data := func(pairs ...string) map[string][]byte {
		m := map[string][]byte{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = []byte(pairs[i+1])
		}
		return m
	}
	tests := map[string]struct {
		kind corev1.SecretType
		data map[string][]byte
		want []string
	}{
		"opaque":                    {corev1.SecretTypeOpaque, data("a", "b"), nil},
		"a type of somebody's own":  {"example.com/x", nil, nil},
		"helm release":              {"helm.sh/release.v1", data("release", "x"), nil},
		"bad key":                   {corev1.SecretTypeOpaque, data("a b", ""), []string{"data[a b]: Invalid value"}},
		"too large":                 {corev1.SecretTypeOpaque, data("a", strings.Repeat("x", corev1.MaxSecretSize+1)), []string{"data: Too long"}},
		"ServiceAccount token":      {corev1.SecretTypeServiceAccountToken, nil, []string{"metadata.annotations[kubernetes.io/service-account.name]: Required value"}},
		"dockercfg":                 {corev1.SecretTypeDockercfg, data(".dockercfg", "{}"), nil},
		"dockercfg missing":         {corev1.SecretTypeDockercfg, nil, []string{"data[.dockercfg]: Required value"}},
		"dockerconfigjson":          {corev1.SecretTypeDockerConfigJson, data(".dockerconfigjson", `{"auths":{}}`), nil},
		"dockerconfigjson, no JSON": {corev1.SecretTypeDockerConfigJson, data(".dockerconfigjson", "hidden"), []string{"data[.dockerconfigjson]: <secret contents redacted>"}},
		"basic auth, one":           {corev1.SecretTypeBasicAuth, data("password", ""), nil},
		"basic auth, none":          {corev1.SecretTypeBasicAuth, nil, []string{"data[username]: Required value", "data[password]: Required value"}},
		"ssh":                       {corev1.SecretTypeSSHAuth, data("ssh-privatekey", "k"), nil},
		"ssh, empty":                {corev1.SecretTypeSSHAuth, data("ssh-privatekey", ""), []string{"data[ssh-privatekey]: Required value"}},
		"tls":                       {corev1.SecretTypeTLS, data("tls.crt", "", "tls.key", ""), nil},
		"tls, no key":               {corev1.SecretTypeTLS, data("tls.crt", ""), []string{"data[tls.key]: Required value"}},
		"tls, nothing":              {corev1.SecretTypeTLS, nil, []string{"data[tls.crt]: Required value", "data[tls.key]: Required value"}},
		"bootstrap token":           {corev1.SecretTypeBootstrapToken, nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			errs := validateSecret(&corev1.Secret{Type: tt.kind, Data: tt.data})
			checkErrors(t, errs, tt.want...)
			if strings.Contains(fmt.Sprint(errs), "hidden") {
				t.Error("an error shows what is secret")
			}
		})
	}
}

func TestValidateSecretUpdate(t *testing.T) {
	t.Parallel()
	yes := true
	old := corev1.Secret{Type: corev1.SecretTypeOpaque, Immutable: &yes, Data: map[string][]byte{"a": nil}}
	checkErrors(t, validateSecretUpdate(&old, &old))
	checkErrors(t, validateSecretUpdate(&corev1.Secret{Type: "x"}, &old), "type: field is immutable", "immutable: Forbidden", "data: Forbidden")
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	deprecated := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{enforceMountableSecrets: "true"}}}
	much, little := apimachineryresource.MustParse("2"), apimachineryresource.MustParse("1")
	quota := func(hard corev1.ResourceList) *corev1.ResourceQuota {
		return &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: hard}}
	}
	for name, tt := range map[string]struct {
		got  []string
		want int
	}{
		"tls that does not match":   {warnOfSecret(&corev1.Secret{Type: corev1.SecretTypeTLS}, nil), 1},
		"opaque":                    {warnOfSecret(&corev1.Secret{}, nil), 0},
		"deprecated":                {warnOfServiceAccount(deprecated, nil), 1},
		"deprecated since":          {warnOfServiceAccount(deprecated, &corev1.ServiceAccount{}), 1},
		"deprecated before":         {warnOfServiceAccount(deprecated, deprecated), 0},
		"not deprecated":            {warnOfServiceAccount(&corev1.ServiceAccount{}, nil), 0},
		"quota":                     {warnOfQuota(quota(nil), nil), 0},
		"quota, request over limit": {warnOfQuota(quota(corev1.ResourceList{"requests.cpu": much, "limits.cpu": little}), nil), 1},
		"quota, bare name":          {warnOfQuota(quota(corev1.ResourceList{"memory": much, "limits.memory": little}), nil), 1},
		"quota, in order":           {warnOfQuota(quota(corev1.ResourceList{"cpu": little, "limits.cpu": much}), nil), 0},
		"quota, update":             {warnOfQuota(quota(nil), quota(nil)), 0},
		"quota, workspace":          {warnOfQuota(scopedQuota("admin", "true"), nil), 0},
		"quota, namespace":          {warnOfQuota(scopedQuota("admin", "false"), nil), 0},
		"quota, elsewhere":          {warnOfQuota(scopedQuota("default", "true"), nil), 1},
		"quota, neither":            {warnOfQuota(scopedQuota("admin", "yes"), nil), 1},
		"quota, as before":          {warnOfQuota(scopedQuota("admin", "yes"), scopedQuota("admin", "yes")), 0},
		"quota, changed":            {warnOfQuota(scopedQuota("admin", "yes"), quota(nil)), 1},
		"limits":                    {limitRanges().Warn(&corev1.LimitRange{}, nil), 1},
		"limits, update":            {limitRanges().Warn(&corev1.LimitRange{}, &corev1.LimitRange{}), 0},
	} {
		if len(tt.got) != tt.want {
			t.Errorf("%s: warns %q, want %d", name, tt.got, tt.want)
		}
	}
}

func TestValidateNamespace(t *testing.T) {
	t.Parallel()
	ns := func(finalizers ...corev1.FinalizerName) *corev1.Namespace {
		return &corev1.Namespace{Spec: corev1.NamespaceSpec{Finalizers: finalizers}}
	}
	checkErrors(t, namespaces().Validate(ns("kubernetes", "orphan", "example.com/x")))
	checkErrors(t, namespaces().Validate(ns("mine", "a b/c")),
		"spec.finalizers: name is neither a standard finalizer name nor is it fully qualified", "spec.finalizers: prefix part")

	now := metav1.Now()
	going := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
	checkErrors(t, validateNamespaceStatus(going, nil), "status.Phase: may only be 'Terminating'")
	going.Status.Phase = corev1.NamespaceTerminating
	checkErrors(t, validateNamespaceStatus(going, nil))
	going.DeletionTimestamp = nil
	checkErrors(t, validateNamespaceStatus(going, nil), "status.Phase: may only be 'Active'")
}

func TestValidateLimitRange(t *testing.T) {
	t.Parallel()
	list := func(pairs ...string) corev1.ResourceList {
		l := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			l[corev1.ResourceName(pairs[i])] = apimachineryresource.MustParse(pairs[i+1])
		}
		return l
	}
	tests := map[string]struct {
		items []corev1.LimitRangeItem
		want  []string
	}{
		"good": {items: []corev1.LimitRangeItem{
			{
				Type: corev1.LimitTypeContainer, Min: list("cpu", "100m"), DefaultRequest: list("cpu", "200m"), Default: list("cpu", "500m"), Max: list("cpu", "1"),
				MaxLimitRequestRatio: list("cpu", "10"),
			},
			{Type: corev1.LimitTypePod, Max: list("memory", "1Gi", "hugepages-2Mi", "4Mi", "example.com/gpu", "1")},
			{Type: corev1.LimitTypePersistentVolumeClaim, Max: list("storage", "1Gi")},
			{Type: "example.com/thing", Max: list("example.com/size", "3")},
		}},
		"type": {[]corev1.LimitRangeItem{{Type: "Thing"}, {Type: "a b"}}, []string{
			"spec.limits[0].type: must be a standard limit type", "spec.limits[1].type: name part",
		}},
		"a type twice": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypePod}, {Type: corev1.LimitTypePod}}, []string{"spec.limits[1].type: Duplicate value"}},
		"names": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: list("storage", "1", "foo", "1", "requests.example.com/x", "1")}}, []string{
			"spec.limits[0].max[storage]: must be a standard resource for containers",
			"spec.limits[0].max[foo]: must be a standard resource type or fully qualified",
			"spec.limits[0].max[foo]: must be a standard resource for containers",
			"spec.limits[0].max[requests.example.com/x]: doesn't follow extended resource name standard",
		}},
		"defaults of a pod": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Default: list("cpu", "1"), DefaultRequest: list("cpu", "2")}}, []string{
			"spec.limits[0].default: may not be specified", "spec.limits[0].defaultRequest: may not be specified",
		}},
		"claim without storage": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypePersistentVolumeClaim}}, []string{"spec.limits[0].limits: Required value"}},
		"order": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Min: list("cpu", "4"), DefaultRequest: list("cpu", "3"), Default: list("cpu", "2"), Max: list("cpu", "1")}}, []string{
			"spec.limits[0].min[cpu]: min value 4 is greater than max value 1",
			"spec.limits[0].defaultRequest[cpu]: min value 4 is greater than default request value 3",
			"spec.limits[0].defaultRequest[cpu]: default request value 3 is greater than max value 1",
			"spec.limits[0].defaultRequest[cpu]: default request value 3 is greater than default limit value 2",
			"spec.limits[0].default[cpu]: min value 4 is greater than default value 2",
			"spec.limits[0].default[cpu]: default value 2 is greater than max value 1",
		}},
		"ratio": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Min: list("cpu", "500m", "memory", "1"), Max: list("cpu", "1", "memory", "2"), MaxLimitRequestRatio: list("cpu", "2500m", "memory", "500m")}}, []string{
			"spec.limits[0].maxLimitRequestRatio[cpu]: ratio 2500m is greater than max/min = 2.0",
			"spec.limits[0].maxLimitRequestRatio[memory]: ratio 500m is less than 1",
		}},
		"no overcommitment": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Default: list("example.com/gpu", "2"), DefaultRequest: list("example.com/gpu", "1")}}, []string{
			"spec.limits[0].defaultRequest[example.com/gpu]: default value 2 must equal to defaultRequest value 1",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			checkErrors(t, validateLimitRange(&corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: tt.items}}), tt.want...)
		})
	}
	unnamed := &corev1.LimitRange{}
	limitRanges().Prepare(unnamed, nil)
	if unnamed.Name == "" {
		t.Error("a LimitRange without a name gets none")
	}
}

// scopedQuota returns a quota with the annotation by which it can be for a workspace.
func scopedQuota(namespace, value string) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Annotations: map[string]string{"experimental.quota.kcp.io/cluster-scoped": value}}}
}

func TestValidateResourceQuota(t *testing.T) {
	t.Parallel()
	hard := func(pairs ...string) corev1.ResourceList {
		l := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			l[corev1.ResourceName(pairs[i])] = apimachineryresource.MustParse(pairs[i+1])
		}
		return l
	}
	selector := func(scope corev1.ResourceQuotaScope, operator corev1.ScopeSelectorOperator, values ...string) *corev1.ScopeSelector {
		return &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: scope, Operator: operator, Values: values}}}
	}
	tests := map[string]struct {
		spec corev1.ResourceQuotaSpec
		want []string
	}{
		"good":          {spec: corev1.ResourceQuotaSpec{Hard: hard("pods", "1", "requests.cpu", "100m", "count/widgets.example.com", "5", "requests.storage", "1Gi", "requests.hugepages-2Mi", "2Mi", "requests.example.com/gpu", "1")}},
		"unknown":       {corev1.ResourceQuotaSpec{Hard: hard("foo", "1")}, []string{"spec.hard[foo]: must be a standard resource type or fully qualified", "spec.hard[foo]: must be a standard resource for quota"}},
		"not for quota": {corev1.ResourceQuotaSpec{Hard: hard("storage", "1")}, []string{"spec.hard[storage]: must be a standard resource for quota"}},
		"negative":      {corev1.ResourceQuotaSpec{Hard: hard("cpu", "-1")}, []string{"spec.hard[cpu]: must be greater than or equal to 0"}},
		"not whole":     {corev1.ResourceQuotaSpec{Hard: hard("configmaps", "500m", "example.com/x", "1500m")}, []string{"spec.hard[configmaps]: must be an integer", "spec.hard[example.com/x]: must be an integer"}},
		"scopes":        {spec: corev1.ResourceQuotaSpec{Hard: hard("pods", "1"), Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeTerminating}}},
		"unknown scope": {corev1.ResourceQuotaSpec{Scopes: []corev1.ResourceQuotaScope{"Foo"}}, []string{"spec.scopes: unsupported scope"}},
		"unfit scope":   {corev1.ResourceQuotaSpec{Hard: hard("cpu", "1"), Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}}, []string{"spec.scopes: unsupported scope applied to resource"}},
		"unfit scopes": {corev1.ResourceQuotaSpec{Hard: hard("cpu", "1", "secrets", "1"), Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}}, []string{
			"spec.scopes: unsupported scope applied to resource", "spec.scopes: unsupported scope applied to resource",
		}},
		"scopes conflict": {corev1.ResourceQuotaSpec{Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating}}, []string{"spec.scopes: conflicting scopes"}},
		"selector":        {spec: corev1.ResourceQuotaSpec{Hard: hard("pods", "1"), ScopeSelector: selector(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpIn, "high")}},
		"selector, claim": {spec: corev1.ResourceQuotaSpec{Hard: hard("requests.storage", "1"), ScopeSelector: selector(corev1.ResourceQuotaScopeVolumeAttributesClass, corev1.ScopeSelectorOpExists)}},
		"selector without values": {corev1.ResourceQuotaSpec{ScopeSelector: selector(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpIn)}, []string{
			"spec.scopeSelector.matchExpressions.values: must be at least one value",
		}},
		"selector with values": {corev1.ResourceQuotaSpec{ScopeSelector: selector(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpExists, "x")}, []string{
			"spec.scopeSelector.matchExpressions.values: must be no value",
		}},
		"selector, operator": {corev1.ResourceQuotaSpec{ScopeSelector: selector(corev1.ResourceQuotaScopeBestEffort, "Foo")}, []string{
			"spec.scopeSelector.matchExpressions.operator: must be 'Exists' when scope is any of ResourceQuotaScopeTerminating", "spec.scopeSelector.matchExpressions.operator: not a valid selector operator",
		}},
		"selector, scope": {corev1.ResourceQuotaSpec{Hard: hard("configmaps", "1"), ScopeSelector: selector("Foo", corev1.ScopeSelectorOpExists)}, []string{
			"spec.scopeSelector.matchExpressions.scopeName: unsupported scope",
		}},
	}
	kind := resourceQuotas()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			checkErrors(t, kind.Validate(&corev1.ResourceQuota{Spec: tt.spec}), tt.want...)
		})
	}
	scoped := func(scopes ...corev1.ResourceQuotaScope) *corev1.ResourceQuota {
		return &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Scopes: scopes}}
	}
	checkErrors(t, kind.ValidateUpdate(scoped("b", "a"), scoped("a", "b")))
	checkErrors(t, kind.ValidateUpdate(scoped("a"), scoped("b")), "spec.scopes: field is immutable")
	checkErrors(t, validateQuotaStatusUpdate(&corev1.ResourceQuota{Status: corev1.ResourceQuotaStatus{Hard: hard("foo/x y", "1"), Used: hard("pods", "-1")}}, &corev1.ResourceQuota{}),
		"resourceVersion: Required value", "status.hard[foo/x y]: name part", "status.used[pods]: must be greater than or equal to 0")
	whole := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "admin", ResourceVersion: "1", Annotations: map[string]string{"experimental.quota.kcp.io/cluster-scoped": "true"}}}
	plain := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "admin", ResourceVersion: "1"}}
	checkErrors(t, validateQuotaStatusUpdate(whole, whole))
	for _, changed := range [][2]*corev1.ResourceQuota{{whole, plain}, {plain, whole}} {
		checkErrors(t, validateQuotaStatusUpdate(changed[0], changed[1]), "metadata.annotations[experimental.quota.kcp.io/cluster-scoped]: cannot be changed together with the status")
	}
}

// through returns a context of a request that speaks the given group in v1.
func through(ctx context.Context, group string) context.Context {
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{APIGroup: group, APIVersion: "v1"})
}

func TestValidateEvent(t *testing.T) {
	t.Parallel()
	now := metav1.NowMicro()
	event := func(change func(*corev1.Event)) *corev1.Event {
		e := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x"}, InvolvedObject: corev1.ObjectReference{Namespace: "a"}, EventTime: now,
			ReportingController: "example.com/c", ReportingInstance: "i", Action: "Act", Reason: "Because", Type: corev1.EventTypeNormal,
		}
		change(e)
		return e
	}
	old := func(namespace, about string) func(*corev1.Event) {
		return func(e *corev1.Event) {
			*e = corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "x"}, InvolvedObject: corev1.ObjectReference{Namespace: about}}
		}
	}
	long := strings.Repeat("x", 2000)
	tests := map[string]struct {
		event     *corev1.Event
		want      []string // through the core group
		wantOther []string // through events.k8s.io, beside want
	}{
		"good":                                   {event: event(func(*corev1.Event) {})},
		"old style":                              {event: event(old("a", "a")), wantOther: []string{"eventTime: Required value", "type: has invalid value"}},
		"old style, other namespace":             {event: event(old("b", "a")), want: []string{"involvedObject.namespace: does not match"}, wantOther: []string{"eventTime: Required value", "type: has invalid value"}},
		"old style, of no namespace":             {event: event(old("b", "")), want: []string{"involvedObject.namespace: does not match"}, wantOther: []string{"eventTime: Required value", "type: has invalid value"}},
		"old style, of no namespace, in default": {event: event(old("default", "")), wantOther: []string{"eventTime: Required value", "type: has invalid value"}},
		"of no namespace":                        {event: event(func(e *corev1.Event) { e.InvolvedObject.Namespace = "" }), want: []string{"involvedObject.namespace: does not match"}},
		"of no namespace, in kube-system":        {event: event(func(e *corev1.Event) { e.InvolvedObject.Namespace, e.Namespace = "", "kube-system" })},
		"too little": {
			event: event(func(e *corev1.Event) { e.ReportingInstance, e.Action, e.Reason = "", "", "" }),
			want:  []string{"reportingInstance: Required value", "action: Required value", "reason: Required value"},
		},
		"too much": {
			event: event(func(e *corev1.Event) { e.ReportingInstance, e.Action, e.Reason, e.Message = long, long, long, long }),
			want:  []string{"reportingInstance: at most 128", "action: at most 128", "reason: at most 128", "message: at most 1024"},
		},
		"leftovers": {
			event: event(func(e *corev1.Event) {
				e.Count, e.FirstTimestamp, e.LastTimestamp, e.Source.Host, e.Type = 1, metav1.Now(), metav1.Now(), "h", "Odd"
			}),
			wantOther: []string{"count: needs to be unset", "firstTimestamp: needs to be unset", "lastTimestamp: needs to be unset", "source: needs to be unset", "type: has invalid value"},
		},
		"series": {
			event:     event(func(e *corev1.Event) { e.Series = &corev1.EventSeries{Count: 1} }),
			wantOther: []string{"series.count: should be at least 2", "series.lastObservedTime: Required value"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			all := func(ctx context.Context) field.ErrorList {
				return append(validateEvent(ctx, tt.event), validateNewEvent(ctx, tt.event)...)
			}
			checkErrors(t, all(through(t.Context(), "")), tt.want...)
			checkErrors(t, all(through(t.Context(), "events.k8s.io")), append(tt.want, tt.wantOther...)...)
		})
	}
	nameless := event(func(e *corev1.Event) { e.ReportingController = "" })
	checkErrors(t, validateEvent(through(t.Context(), ""), nameless), "reportingComponent: Required value", "reportingComponent: name part must be non-empty", "reportingComponent: name part must consist")
	checkErrors(t, validateEvent(through(t.Context(), "events.k8s.io"), nameless), "reportingController: Required value", "reportingController: name part must be non-empty", "reportingController: name part must consist")
}

func TestValidateEventUpdate(t *testing.T) {
	t.Parallel()
	old := &corev1.Event{Reason: "Because", EventTime: metav1.NewMicroTime(time.Unix(1, 1000))}
	changed := old.DeepCopy()
	changed.Reason, changed.Message, changed.Count, changed.EventTime = "Other", "m", 3, metav1.NewMicroTime(time.Unix(1, 2000))
	changed.Series = &corev1.EventSeries{Count: 2}
	checkErrors(t, validateEventUpdate(through(t.Context(), ""), changed, old))
	checkErrors(t, validateEventUpdate(through(t.Context(), "events.k8s.io"), changed, old),
		"reason: field is immutable", "message: field is immutable", "count: field is immutable", "eventTime: field is immutable", "series.lastObservedTime: Required value")
	same := old.DeepCopy()
	same.EventTime = metav1.NewMicroTime(time.Unix(1, 1999))
	same.Series = &corev1.EventSeries{Count: 2, LastObservedTime: metav1.NowMicro()}
	checkErrors(t, validateEventUpdate(through(t.Context(), "events.k8s.io"), same, old))
}
