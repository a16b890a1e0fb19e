package policy

import (
	"fmt"
	"runtime"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func validatingPolicy(i int) *admissionregistrationv1.ValidatingAdmissionPolicy {
	p := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("policy-%d", i)}}
	p.Spec.Variables = []admissionregistrationv1.Variable{{Name: "count", Expression: "size(object.data)"}}
	p.Spec.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "named", Expression: "object.metadata.name != ''"}}
	for n := range 4 {
		p.Spec.Validations = append(p.Spec.Validations, admissionregistrationv1.Validation{
			Expression: fmt.Sprintf("variables.count < %d", n), MessageExpression: "'too many: ' + string(variables.count)",
		})
	}
	return p
}

func mutatingPolicy(i int) *admissionregistrationv1.MutatingAdmissionPolicy {
	p := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("policy-%d", i)}}
	for range 4 {
		p.Spec.Mutations = append(p.Spec.Mutations, admissionregistrationv1.Mutation{
			PatchType: admissionregistrationv1.PatchTypeJSONPatch,
			JSONPatch: &admissionregistrationv1.JSONPatch{Expression: `[JSONPatch{op: "add", path: "/data/a", value: "b"}]`},
		})
	}
	return p
}

// heap returns how many bytes of the heap each of n values takes that build makes.
func heap(t *testing.T, n int, build func(i int)) int64 {
	t.Helper()
	var before, after runtime.MemStats
	build(0) // what is made once
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		build(i + 1)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	return (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(n)
}

func TestEvaluators_KnowTheirSize(t *testing.T) {
	const n = 20
	e := newEvaluators(1 << 40)
	taken := heap(t, n, func(i int) {
		(&validator{evaluators: e, cluster: "a", policy: validatingPolicy(i), content: content{0, byte(i)}}).compiled()
	})
	counted, _ := e.validators.Bytes()
	t.Logf("a validating policy takes %d bytes and is counted as %d", taken, counted/(n+1))
	if taken > counted/(n+1) {
		t.Errorf("a validating policy takes %d bytes, but is counted as %d", taken, counted/(n+1))
	}
	taken = heap(t, n, func(i int) { e.mutator("a", mutatingPolicy(i), content{1, byte(i)}) })
	counted, _ = e.mutators.Bytes()
	t.Logf("a mutating policy takes %d bytes and is counted as %d", taken, counted/(n+1))
	if taken > counted/(n+1) {
		t.Errorf("a mutating policy takes %d bytes, but is counted as %d", taken, counted/(n+1))
	}
	runtime.KeepAlive(e)
}

// Equal policies of all workspaces are compiled once.
func TestEvaluators_AreSharedByContent(t *testing.T) {
	e := newEvaluators(1 << 30)
	first := (&validator{evaluators: e, cluster: "a", policy: validatingPolicy(1), content: content{1}}).compiled()
	if again := (&validator{evaluators: e, cluster: "b", policy: validatingPolicy(1), content: content{1}}).compiled(); again != first {
		t.Error("an equal policy of another workspace is compiled again")
	}
	e.forget("a")
	if e.validators.Len() != 0 {
		t.Error("what was compiled for a deleted workspace is kept")
	}
}
