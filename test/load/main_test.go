package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host"
)

// The load program starts its server as "BINARY serve ...": here the test binary
// itself, which then is the stand-in (standin_test.go).
func TestMain(m *testing.M) {
	if ran, err := runHelper(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	} else if ran {
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serveStandIn(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// small makes a run take seconds. The timeout is for a server that hangs: a busy
// machine may take minutes.
var small = []string{
	"--workspaces=120", "--bound-workspaces=10", "--clients=4", "--objects=40", "--rounds=2", "--samples=5",
	"--settle=0s", "--timeout=10m", "--quiet-requests=5", "--flood-clients=5", "--host-watches=20",
	"--watchers=5", "--policies=4", "--definitions=2", "--definition-workspaces=3",
}

func TestRun_MeasuresCRUDOfAPlainServer(t *testing.T) {
	h := host.Start(t)
	figures := measureForTest(t, "--plain-kubeconfig="+h.Kubeconfig(), "--figures=crud")

	for _, op := range []string{"create", "get", "patch", "list", "delete"} {
		for _, suffix := range []string{"_rate", "_p50", "_p90", "_p99"} {
			if v := figures["crud_plain_"+op+suffix]; v <= 0 {
				t.Errorf("crud_plain_%s%s is %v, want a positive number", op, suffix, v)
			}
		}
	}
	if len(figures) != 20 {
		t.Errorf("there are %d figures, want 20: %v", len(figures), figures)
	}
}

func TestRun_MeasuresEveryFigure(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatalf("finding the test binary: %v", err)
	}
	// The stand-in keeps no workspaces apart, knows no users, and collects no garbage.
	// Those that are named have an etcd to look into.
	names := slices.DeleteFunc(figureNames(), func(name string) bool {
		return slices.Contains([]string{"hostile", "gc", "policies", "definitions", "evolution", "sharing", "initializer", "operator", "scale", "churn"}, name)
	})
	figures := measureForTest(t, "--server-binary="+binary, "--start-plain", "--figures="+strings.Join(names, ","))

	for _, name := range []string{
		"cold_start_new", "cold_start_empty", "cold_start_n",
		"workspace_create_rate", "workspace_create_p50", "workspace_create_p99", "workspace_create_revisions",
		"goroutines_at_100", "goroutines_at_n", "series_at_100", "series_at_n",
		"rss_before", "rss_at_n",
		"bound_workspace_create_rate", "bind_to_first_object_p50", "write_to_provider_watch_p50",
		"crud_workspace_create_rate", "crud_plain_create_rate", "crud_create_rate_ratio", "crud_delete_p50_ratio",
		"crud_list_rate_ratio", "custom_workspace_create_rate", "custom_plain_list_p99", "custom_patch_rate_ratio", "custom_list_p50_ratio",
		"watch_workspace_write_to_event_p99", "watch_plain_write_to_last_event_p50", "watch_write_to_event_p99_ratio", "watch_write_to_last_event_p50_ratio",
		"webhook_workspace_webhook_create_rate", "webhook_plain_webhook_delete_p99", "webhook_patch_plain_kept", "webhook_create_rate_ratio",
		"policy_workspace_policy_create_rate", "policy_plain_policy_patch_p99", "policy_create_workspace_kept", "policy_patch_rate_ratio",
		"quota_workspace_quota_create_rate", "quota_plain_quota_create_rate", "quota_create_workspace_kept", "quota_delete_rate_ratio",
		"fairness_creates_read_alone_p99", "fairness_creates_write_p99_ratio", "fairness_creates_flood_served_rate",
		"fairness_lists_read_beside_p50", "fairness_lists_flood_served_rate", "fairness_mix_read_p50_ratio",
		"host_get_through_p99", "host_create_through_to_direct_p50_ratio", "host_list_plain_p90", "host_write_to_event_through_to_plain_p99_ratio",
		"host_watches_open", "host_watches_write_to_last_event",
		"workspace_delete_rate", "workspace_delete_p99", "workspace_delete_revisions", "workspace_delete_cpu", "workspace_delete_allocated",
	} {
		if v := figures[name]; v <= 0 {
			t.Errorf("%s is %v, want a positive number", name, v)
		}
	}
	for _, name := range []string{"rss_per_workspace", "rss_per_bound_workspace"} {
		if _, ok := figures[name]; !ok { // it may be negative for a few workspaces
			t.Errorf("%s is missing", name)
		}
	}
	if v := figures["workspaces_n"]; v != 120 {
		t.Errorf("workspaces_n is %v, want 120", v)
	}
	// The stand-in creates each workspace and patches its status once.
	if v := figures["workspace_create_revisions"]; v < 2 || v > 3 {
		t.Errorf("workspace_create_revisions is %v, want about 2", v)
	}
}

func TestRun_MeasuresAttacks(t *testing.T) {
	binary, err := annex.Program("annex")
	if err != nil {
		t.Fatal(err)
	}
	figures := measureForTest(t, "--server-binary="+binary, "--figures=hostile", "--attacks=definitions,watches", "--attack-size=0.02")
	for _, name := range []string{
		"hostile_definitions_define_beside", "hostile_definitions_worst_p99_ratio", "hostile_watches_read_beside_p99", "hostile_watches_worst_p99_ratio",
		"hostile_watches_worst_p99_ratio_10s_after", "hostile_watches_read_occupied_p99", "hostile_watches_worst_p99_ratio_to_occupied", "hostile_definitions_read_alone_p99", "hostile_definitions_read_10s_after_p99", "hostile_definitions_define_10s_after",
		"hostile_watches_write_alone_p99", "hostile_watches_write_10s_after_p99", "hostile_watches_rss_during", "hostile_watches_rss_after_ratio", "hostile_watches_heap_after_ratio", "hostile_watches_series_after",
	} {
		if v := figures[name]; v <= 0 {
			t.Errorf("%s is %v, want a positive number", name, v)
		}
	}
}

func TestRun_MeasuresGrowthAndChurn(t *testing.T) {
	binary, err := annex.Program("annex")
	if err != nil {
		t.Fatal(err)
	}
	figures := measureForTest(t, "--server-binary="+binary, "--figures=policies,definitions,sharing,initializer,scale,churn", "--scale-steps=20,60", "--churn-workspaces=35")
	var names []string
	add := func(prefix string, suffixes ...string) {
		for _, suffix := range suffixes {
			names = append(names, prefix+suffix)
		}
	}
	var every []string
	for _, g := range gauges() {
		every = append(every, "_"+g.name)
	}
	add("policies_", "before_create_rate", "after_list_p99", "patch_after_to_before")
	for _, point := range []string{"definitions_without", "definitions_created", "definitions_cold", "definitions_read"} {
		add(point, every...)
	}
	add("sharing_", "0_claims_revisions_per_consumer", "3_claims_revisions_per_consumer", "bind_to_first_object_p95", "write_to_provider_watch_p99",
		"write_to_claimed_watch_p50", "add_resource", "add_resource_revisions_per_consumer", "add_resource_cpu_per_consumer")
	add("initialized_workspace_", "create_rate", "ready_p50")
	add("scale_0", every...)
	for _, step := range []string{"scale_20", "scale_60"} {
		add(step, every...)
		add(step+"_restarted", every...)
		add(step, "_create_rate", "_create_p99", "_revisions_per_workspace", "_keys_per_workspace", "_list", "_restart", "_restarted_cpu",
			"_first_get_p50", "_first_list_p99", "_first_discovery_p50", "_first_openapi_p99")
	}
	add("scale_", "create_rate_last_to_first")
	add("churn_before", every...)
	for _, point := range []string{"churn_10pct", "churn_50pct", "churn_100pct"} {
		add(point, every...)
		add(point, "_rate_so_far")
	}
	add("churn_after", every...)
	add("churn_", "rate_last_to_second", "rss_last_to_second", "etcd_in_use_last_to_second", "revisions_per_workspace")
	for _, name := range names {
		if v := figures[name]; v <= 0 {
			t.Errorf("%s is %v, want a positive number", name, v)
		}
	}
	// These may be 0 or negative.
	for _, name := range []string{
		"scale_0_to_20_rss_per_workspace", "scale_20_to_60_rss_per_workspace", "scale_20_to_60_restarted_rss_per_workspace", "scale_60_list_rss_growth",
		"sharing_0_claims_heap_live_per_consumer", "sharing_3_claims_rss_per_consumer", "churn_keys_left", "churn_keys_missing", "policies_rss_per_workspace",
		"definitions_created_rss_growth", "definitions_cold_rss_growth", "definitions_read_heap_live_growth",
	} {
		if _, ok := figures[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if before, after := figures["definitions_without_etcd_keys"], figures["definitions_cold_etcd_keys"]; after-before < 2*3 {
		t.Errorf("etcd has %v keys without definitions and %v with 2 in each of 3 workspaces", before, after)
	}
	if before, after := figures["scale_0_etcd_keys"], figures["scale_60_etcd_keys"]; after-before < 60 {
		t.Errorf("etcd has %v keys without workspaces and %v with 60", before, after)
	}
}

func TestRun_MeasuresEvolution(t *testing.T) {
	binary, err := annex.Program("annex")
	if err != nil {
		t.Fatal(err)
	}
	// That the report names what it should name, and where the rollout stops, is for the figure to check.
	figures := measureForTest(t, "--server-binary="+binary, "--figures=evolution", "--evolution-consumers=60", "--evolution-objects=240")
	for name, least := range map[string]float64{
		"evolution_report": 0, "evolution_own_validation": 0, "evolution_rollout_stopped": 0, "evolution_undone": 0, "evolution_objects": 239, "evolution_invalid": 3, "evolution_updated_before": 5,
	} {
		if v := figures[name]; v <= least {
			t.Errorf("%s is %v, want more than %v", name, v, least)
		}
	}
	for _, name := range []string{"evolution_reported_missing", "evolution_reported_extra", "evolution_updated_later"} {
		if v, ok := figures[name]; !ok || v != 0 {
			t.Errorf("%s is %v, want 0", name, v)
		}
	}
}

func TestRun_AFailingFigureStopsNoOther(t *testing.T) {
	// Here nothing is served below /clusters/, so that only the plain side of
	// the program's work can succeed; and no workspace can be left behind.
	h := host.Start(t)
	var out, log bytes.Buffer
	args := append([]string{
		"--kubeconfig=" + h.Kubeconfig(), "--context=host", "--figures=create,bind,delete",
	}, small...)
	err := run(t.Context(), args, &out, &log)
	if err == nil || !strings.Contains(err.Error(), "create, bind, delete") {
		t.Errorf("error is %v, want one that names the three figures", err)
	}
	for _, name := range []string{"create", "bind", "delete"} {
		if !strings.Contains(log.String(), name+" failed: ") {
			t.Errorf("log does not tell why %s failed:\n%s", name, log.String())
		}
	}
	if out.Len() > 0 {
		t.Errorf("there are figures: %s", out.String())
	}
}

// measureForTest runs the program with small numbers and returns its figures.
func measureForTest(t *testing.T, args ...string) map[string]float64 {
	t.Helper()
	var out, log bytes.Buffer
	if err := run(t.Context(), append(args, small...), &out, &log); err != nil {
		t.Fatalf("running: %v\n%s", err, log.String())
	}
	t.Logf("\n%s%s", log.String(), out.String())
	figures := map[string]float64{}
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("line %q is not `name value unit`", line)
		}
		value, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if _, ok := figures[fields[0]]; ok {
			t.Errorf("figure %s is printed twice", fields[0])
		}
		figures[fields[0]] = value
	}
	return figures
}
