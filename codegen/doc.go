// Command codegen generates clients for the Go types of a provider: deep copies, apply configurations, a clientset with fakes, listers, informers, and
// a package clusters with Cluster(path) for that clientset, and fakes of it.
//
//	go run github.com/annex-dev/annex/codegen@v0.1.0 --apis apis/widgets/v1 --output generated
//
// It runs in the root of your module. --apis names a package of types for each version, in folders that end with <group>/<version>. A package has
// the usual markers: +groupName and +k8s:deepcopy-gen=package in its doc.go, +genclient above its types. What it writes imports k8s.io/client-go, and github.com/annex-dev/annex/client.
//
//	main.go      flags, and the steps in their order
//	steps.go     one step for each generator of k8s.io/code-generator
//	clusters.go  the package clusters
//
// The generators are those of Kubernetes, called as libraries: a step has the arguments that their own commands have. Generators write into the
// output folder, which is emptied before.
package main
