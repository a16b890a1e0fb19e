// Package upstream lists what the modules of Kubernetes export for tests, and says of each package where it is used here or why it is not.
// Its test fails if a new version of a module brings a package that is not listed, so that a suite which could judge our code is not missed.
//
// The suites that run on our code are beside that code:
//
//	registry/storage           TestUpstream      storage and watch caches; what is left out of it is listed there, with the reason
//	registry/kinds             TestUpstream      REST storage of each kind
//	registry/kinds             roundtrip_test.go encodings of each kind
//	server/admission/webhook   TestUpstream_*    what the plugins of webhooks answer
//	server/admission/...       reinvocation of plugins that change objects
//
// Fakes that are generated are no suites, and are not listed.
package upstream
