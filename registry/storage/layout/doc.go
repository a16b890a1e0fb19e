// Package layout says where objects are stored in etcd: it makes and reads every key, from what a stock store asks for and the target in
// the context, and makes key and object prove each other (guard.go). The golden file testdata/keys.txt shows a key of each sort.
//
// A [Resource] is the layout of one resource. It refuses a context without target, and a single object unless exactly one
// cluster is named. A [Codec] and a [Transformer] are what a stock etcd store is made with.
//
// Only registry/storage and the packages below it import it.
package layout
