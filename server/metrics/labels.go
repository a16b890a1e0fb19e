package metrics

import (
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	basemetrics "k8s.io/component-base/metrics"

	"github.com/annex-dev/annex/registry/kinds"
)

// stock are the metrics of k8s.io/apiserver with labels that custom resources decide.
var stock = []string{
	// pkg/endpoints/metrics
	"apiserver_requested_deprecated_apis",
	"apiserver_request_total",
	"apiserver_longrunning_requests",
	"apiserver_request_duration_seconds",
	"apiserver_request_sli_duration_seconds",
	"apiserver_response_sizes",
	"apiserver_watch_events_total",
	"apiserver_watch_events_sizes",
	"apiserver_request_terminations_total",
	"apiserver_selfrequest_total",
	"apiserver_request_aborts_total",
	"apiserver_watch_list_duration_seconds",
	// pkg/endpoints/handlers/metrics
	"apiserver_request_body_size_bytes",
	// pkg/storage/metrics
	"apiserver_storage_list_total",
	"apiserver_storage_transformation_operations_total", // pkg/storage/value
	"apiserver_storage_list_fetched_objects_total",
	"apiserver_storage_list_evaluated_objects_total",
	"apiserver_storage_list_returned_objects_total",
	// pkg/storage/etcd3/metrics
	"etcd_request_duration_seconds",
	"etcd_requests_total",
	"etcd_request_errors_total",
	"etcd_bookmark_counts",
	"etcd_bookmark_total",
	"apiserver_storage_objects",
	"apiserver_resource_objects",
	"apiserver_resource_size_estimate_bytes",
	"apiserver_storage_events_received_total",
	"apiserver_storage_decode_errors_total",
	"apiserver_storage_list_duration_seconds",
	// pkg/storage/cacher/metrics
	"apiserver_cache_list_total",
	"apiserver_cache_list_fetched_objects_total",
	"apiserver_cache_list_returned_objects_total",
	"apiserver_init_events_total",
	"apiserver_terminated_watchers_total",
	"apiserver_watch_cache_events_received_total",
	"apiserver_watch_cache_events_dispatched_total",
	"apiserver_watch_cache_resource_version",
	"apiserver_watch_cache_initializations_total",
	"apiserver_watch_cache_initialization_errors_total",
	"apiserver_watch_cache_initialization_duration_seconds",
	"apiserver_watch_cache_read_wait_seconds",
	"apiserver_watch_cache_consistent_read_total",
	"apiserver_storage_consistency_checks_total",
	"apiserver_watch_filtered_events_total",
	"apiserver_watch_shards_total",
	"apiserver_watch_events_dispatch_duration_seconds",
	"watch_cache_capacity",
	"watch_cache_capacity_increase_total",
	"watch_cache_capacity_decrease_total",
}

// named are the metrics of k8s.io/apiserver with labels for which tenants choose the values: names of their webhooks, definitions and policies.
var named = map[string][]string{
	// pkg/admission/metrics
	"apiserver_admission_webhook_admission_duration_seconds":      {"name"},
	"apiserver_admission_webhook_rejection_count":                 {"name"},
	"apiserver_admission_webhook_fail_open_count":                 {"name"},
	"apiserver_admission_webhook_request_total":                   {"name"},
	"apiserver_admission_match_condition_evaluation_errors_total": {"name"},
	"apiserver_admission_match_condition_exclusions_total":        {"name"},
	"apiserver_admission_match_condition_evaluation_seconds":      {"name"},
	// k8s.io/apiextensions-apiserver/pkg/apiserver/conversion
	"apiserver_crd_conversion_webhook_duration_seconds": {"crd_name", "from_version", "to_version"},
	// pkg/admission/plugin/policy
	"apiserver_validating_admission_policy_check_total":            {"policy", "policy_binding"},
	"apiserver_validating_admission_policy_check_duration_seconds": {"policy", "policy_binding"},
	"apiserver_mutating_admission_policy_check_total":              {"policy", "policy_binding"},
	"apiserver_mutating_admission_policy_check_duration_seconds":   {"policy", "policy_binding"},
	// plugin/pkg/authenticator/token/oidc: issuers of workspaces
	"apiserver_authentication_jwt_authenticator_latency_seconds": {"jwt_issuer_hash"},
}

// subresources are those of custom resources and of the server's own.
var subresources = []string{"", "status", "scale", "finalize"}

var once sync.Once

// Bound makes the stock metrics use only the names of table, and those of caches, which are watch caches of more than one
// resource. Call it before anything is measured: a metric that is in use no longer asks for its list. The lists belong to the
// process: only the first call has an effect.
func Bound(table *kinds.Table, caches []schema.GroupResource) {
	once.Do(func() { basemetrics.SetLabelAllowList(lists(table, caches)) })
}

// lists returns the values of each label in the form of the flag --allow-metric-labels of stock servers.
func lists(table *kinds.Table, caches []schema.GroupResource) map[string]string {
	groups, versions, resources := sets.New(""), sets.New(""), sets.New("")
	for _, row := range table.Rows() {
		groups.Insert(row.GroupResource().Group)
		versions.Insert(row.Versions...)
		resources.Insert(row.Resource, row.GroupResource().String())
	}
	for _, gr := range caches {
		groups.Insert(gr.Group)
		resources.Insert(gr.Resource, gr.String())
	}
	all := map[string]string{}
	for _, metric := range stock {
		for label, values := range map[string][]string{
			"group": sets.List(groups), "version": sets.List(versions), "resource": sets.List(resources), "subresource": subresources,
		} {
			all[metric+","+label] = strings.Join(values, ",")
		}
	}
	for metric, labels := range named {
		for _, label := range labels {
			all[metric+","+label] = ""
		}
	}
	return all
}
