// Command load measures a server with the kcp API: what a workspace costs in
// time and memory, and how fast objects in it are read and written. It is the
// program behind `make bench`.
//
//	go run ./test/load --server-binary bin/annex --start-plain
//	go run ./test/load --kubeconfig .annex/admin.kubeconfig --pid 4711 --metrics
//	go run ./test/load --start-plain --figures crud
//
// Standard output has one figure a line, "name value unit", so that two runs
// can be compared with diff or join; progress and faults go to standard error.
// A figure that fails does not stop the others, and makes the exit status 1.
//
//	main.go ─► figure.go     the list of figures, in the order they run
//	           options.go    flags
//	           target.go     kubeconfig ─► credentials; test/framework/crowd has the clients
//	           server.go     the server that the program starts itself
//
//	figure           file              what it tells
//	cold-start       coldstart.go      start to /readyz: new, empty, with N workspaces
//	create           create.go         workspaces: create to Ready
//	counts           counts.go         goroutines, series, revisions for N workspaces
//	memory           memory.go         RssAnon for each empty workspace
//	bound-memory     boundmemory.go    RssAnon for each workspace with a binding and an object
//	bind             bind.go           binding to first object
//	provider-watch   providerwatch.go  write in a consumer to event at the provider
//	crud             crud.go           ConfigMaps of 1 KiB, beside a plain kube-apiserver
//	custom           custom.go         the same with a custom resource
//	watch            watch.go          write to event at many watches, beside a plain kube-apiserver
//	quota            quota.go          ConfigMaps in a namespace with a ResourceQuota, and in one without (rule.go)
//	webhook          webhook.go        the same with a validating webhook, which is in this program
//	policy           policy.go         the same with a ValidatingAdmissionPolicy
//	fairness         fairness.go       a quiet workspace alone, and beside one that clients flood
//	hostile          hostile.go        what a quiet workspace notices of attacks (test/hostile), and what they leave behind
//	host             hostlatency.go    ConfigMaps through a host's aggregator, directly, and of the host itself
//	host-watches     hostwatches.go    many watches through a host at the same time
//	delete           delete.go         workspaces: delete to gone, and what it costs the server
//	gc               gc.go             many dependents of one owner deleted, beside kube-controller-manager
//	policies         policy.go         ConfigMaps in a workspace without a policy, before and after many others have one
//	operator         operator.go       the operator of a provider with many consumers (operatorprocess.go)
//	evolution        evolution.go      a breaking change of an API with many consumers: report (judge.go), rollout, and back
//	definitions      definitions.go    memory for the same CRDs in many workspaces
//	scale            scale.go          speed, memory, database and restart at some numbers of workspaces
//	churn            churn.go          the same while workspaces come, are used and go; and what they leave behind
//
// Each figure makes what it needs, so that any of them can run alone. The N
// workspaces under root are the one thing that several share (fleet.go): they
// are made by whoever needs them first. The figures gc, policies, definitions, evolution, scale
// and churn are measured only when they are named; operator, evolution and the last three have a server of their own in a new directory.
//
// For the host figures the plain kube-apiserver is the host: the server is started
// again as one that it knows, and registered there (hostpath.go).
//
// What it relies on is only the kcp API on the wire, through client-go's dynamic
// client: no type, client or server package of Annex. So it measures any kcp
// compatible server, and cannot be wrong in the same way as the server. (etcd.go
// also looks into an embedded etcd, if that is where Annex has it. The operator
// figure measures client/operator, but not by what that says. The evolution
// figure is about kinds that only Annex has.) All
// loops end: they are bounded in count, and by --timeout for each figure.
package main
