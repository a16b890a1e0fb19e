package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What crops says of its objects is what stock validation says of them.
func TestJudge_AgreesWithCrops(t *testing.T) {
	before, err := newJudge(newWidgetSchema())
	if err != nil {
		t.Fatal(err)
	}
	after, err := newJudge(newNextSchema())
	if err != nil {
		t.Fatal(err)
	}
	c := cropsOf(100, 1000)
	kinds, invalid := map[string]bool{}, 0
	for consumer := range c.consumers {
		for i := range c.each {
			if obj := c.object(consumer, i); before.refuses(t.Context(), obj) {
				t.Fatalf("the schema of before refuses %v", obj.Object["spec"])
			}
			obj := c.object(consumer, i)
			size, has, _ := unstructured.NestedInt64(obj.Object, "spec", "size")
			refused := after.refuses(t.Context(), obj)
			if refused != c.isInvalid(consumer, i) {
				t.Errorf("object %d of consumer %d is refused: %t", i, consumer, refused)
			}
			if refused {
				invalid++
				switch {
				case !has:
					kinds["required"] = true
				case size > 100:
					kinds["maximum"] = true
				case size == 13:
					kinds["rule"] = true
				default:
					kinds["length"] = true
				}
			}
		}
	}
	if invalid != c.invalid() || invalid == 0 || len(kinds) != 4 {
		t.Errorf("%d objects are refused, want %d, and for four reasons: %v", invalid, c.invalid(), kinds)
	}
}

// A report lists 1,000 objects. No number of consumers makes more of them invalid.
func TestCrops_FitInAReport(t *testing.T) {
	for _, consumers := range []int{badEvery, 2000, 5000, 5001, 20_000} {
		if n := cropsOf(consumers, 20*consumers).invalid(); n < 1 || n > 1000 {
			t.Errorf("with %d consumers, %d objects are invalid", consumers, n)
		}
	}
}

func TestEvolution_Plan(t *testing.T) {
	for _, consumers := range []int{badEvery, 60, 2000, 12_000} {
		e := &evolution{crops: cropsOf(consumers, consumers)}
		numbers := map[string]int{}
		for i := range consumers {
			name := nameOf(i)
			numbers[name] = i
			e.clusters = append(e.clusters, name)
		}
		e.plan()
		bad, all := [3]int{}, 0
		for wave, clusters := range e.waves {
			all += len(clusters)
			for _, cluster := range clusters {
				if e.crops.bad(numbers[cluster]) {
					bad[wave]++
				}
			}
		}
		second := e.waves[1]
		if all != consumers || bad[0] != 0 || bad[1] != 1 || !e.crops.bad(numbers[second[len(second)-1]]) || len(second) < 2 || len(second) > waveOf || len(e.waves[0]) == 0 {
			t.Errorf("of %d consumers, there are %d in waves of %d, %d and %d, with %v that fail", consumers, all, len(e.waves[0]), len(second), len(e.waves[2]), bad)
		}
	}
}

// A report that counts other objects than it names is no proof.
func TestReportedBy(t *testing.T) {
	report := func(counted int64, objects ...any) *unstructured.Unstructured {
		return newObject(changeReports, "APIChangeReport", "next", map[string]any{"status": map[string]any{
			"objects": map[string]any{"invalid": counted}, "invalidObjects": objects,
		}})
	}
	named := func(cluster, name string, errs ...any) any {
		return map[string]any{"cluster": cluster, "name": name, "errors": errs}
	}
	got, err := reportedBy(report(2, named("a", "x", map[string]any{}), named("b", "x", map[string]any{})))
	if diff := cmp.Diff(map[string]bool{"a/x": true, "b/x": true}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for what, bad := range map[string]*unstructured.Unstructured{
		"more than it names": report(3, named("a", "x", map[string]any{})),
		"no reason":          report(1, named("a", "x")),
		"one twice":          report(2, named("a", "x", map[string]any{}), named("a", "x", map[string]any{})),
	} {
		if _, err := reportedBy(bad); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if diff := cmp.Diff([]string{"a", "c"}, difference(map[string]bool{"c": true, "b": true, "a": true}, map[string]bool{"b": true, "d": true})); diff != "" {
		t.Error(diff)
	}
}

func TestParseOptions_Evolution(t *testing.T) {
	for _, args := range [][]string{{"--evolution-consumers=9"}, {"--evolution-objects=1999"}} {
		if _, err := parseOptions(append(args, "--server-binary=b")); err == nil || !strings.Contains(err.Error(), "--evolution-objects") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
