// Package pack keeps bytes small by what earlier ones of the same kind had. Thousands of objects of a kind differ in names, UIDs and times;
// packed, one takes little more than these.
//
// A [Packer] packs. What it returns is read with the [Dictionary] that it was packed with, and keeps that in memory. Packing never fails:
// what would not become much smaller is not packed. Of a kind with few objects nothing is packed, since a dictionary is as large as an object.
//
// Only registry/storage/raw imports it.
package pack
