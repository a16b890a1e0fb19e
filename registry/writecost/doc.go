// Package writecost refuses writes that keep the stock handlers busy for too long before admission sees them:
//
//   - JSON patches (RFC 6902) with many operations on lists (patch.go). Each operation that inserts or removes an item copies the whole
//     list, so 10,000 of them, which is all that stock handlers take, need a minute for a list of a megabyte.
//   - Objects with many fields in one place (fields.go). The stock handlers keep the fields of a manager sorted and insert them one by one,
//     so 200,000 of them take a minute.
//   - Many managers (managers.go). For each one that wrote another version of the object, the stock handlers convert the whole object.
//
// What a write costs depends on its body and on the object that it changes. So the last mile (server/serve) has the body of a request
// remembered, which is measured when the stock handler reads it, and storage (registry/storage/object) asks when it has read the object and
// before the stock handler changes it.
package writecost
