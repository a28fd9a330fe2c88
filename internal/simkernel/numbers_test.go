package simkernel

import (
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// The simulated kernel's own table of the kernel's numbers says what internal/uapi says.
func TestNumbers(t *testing.T) {
	for name, pair := range map[string][2]uint64{
		"cmdMapCreate":             {cmdMapCreate, uint64(uapi.CmdMapCreate)},
		"cmdMapUpdateElem":         {cmdMapUpdateElem, uint64(uapi.CmdMapUpdateElem)},
		"cmdProgLoad":              {cmdProgLoad, uint64(uapi.CmdProgLoad)},
		"cmdRawTracepointOpen":     {cmdRawTracepointOpen, uint64(uapi.CmdRawTracepointOpen)},
		"cmdBTFLoad":               {cmdBTFLoad, uint64(uapi.CmdBTFLoad)},
		"cmdMapFreeze":             {cmdMapFreeze, uint64(uapi.CmdMapFreeze)},
		"cmdLinkCreate":            {cmdLinkCreate, uint64(uapi.CmdLinkCreate)},
		"mapHash":                  {mapHash, uint64(uapi.MapTypeHash)},
		"mapArray":                 {mapArray, uint64(uapi.MapTypeArray)},
		"mapProgArray":             {mapProgArray, uint64(uapi.MapTypeProgArray)},
		"mapPercpuHash":            {mapPercpuHash, uint64(uapi.MapTypePerCPUHash)},
		"mapPercpuArray":           {mapPercpuArray, uint64(uapi.MapTypePerCPUArray)},
		"mapLRUHash":               {mapLRUHash, uint64(uapi.MapTypeLRUHash)},
		"mapLRUPercpuHash":         {mapLRUPercpuHash, uint64(uapi.MapTypeLRUPerCPUHash)},
		"mapArrayOfMaps":           {mapArrayOfMaps, uint64(uapi.MapTypeArrayOfMaps)},
		"mapHashOfMaps":            {mapHashOfMaps, uint64(uapi.MapTypeHashOfMaps)},
		"mapStructOps":             {mapStructOps, uint64(uapi.MapTypeStructOps)},
		"mapRingbuf":               {mapRingbuf, uint64(uapi.MapTypeRingBuf)},
		"mapBloom":                 {mapBloom, uint64(uapi.MapTypeBloomFilter)},
		"mapUserRingbuf":           {mapUserRingbuf, uint64(uapi.MapTypeUserRingBuf)},
		"mapArena":                 {mapArena, uint64(uapi.MapTypeArena)},
		"flagValueInModule":        {flagValueInModule, uint64(uapi.MapFlagValueTypeBTFObjFD)},
		"flagAllCPUs":              {flagAllCPUs, uint64(uapi.UpdateFlagAllCPUs)},
		"helperTracePrintk":        {helperTracePrintk, uint64(uapi.HelperTracePrintk)},
		"helperProbeReadKernel":    {helperProbeReadKernel, uint64(uapi.HelperProbeReadKernel)},
		"helperCopyFromUser":       {helperCopyFromUser, uint64(uapi.HelperCopyFromUser)},
		"helperSysBPF":             {helperSysBPF, uint64(uapi.HelperSysBPF)},
		"helperBTFFindByNameKind":  {helperBTFFindByNameKind, uint64(uapi.HelperBTFFindByNameKind)},
		"helperSysClose":           {helperSysClose, uint64(uapi.HelperSysClose)},
		"helperKallsymsLookupName": {helperKallsymsLookupName, uint64(uapi.HelperKallsymsLookupName)},
		"objNameLen":               {objNameLen, uint64(uapi.ObjNameLen)},
		"stackSize":                {stackSize, uint64(uapi.MaxStack)},
		"funcInfoSize":             {funcInfoSize, uint64(uapi.FuncInfoSize)},
		"lineInfoSize":             {lineInfoSize, uint64(uapi.LineInfoSize)},
		"coreReloSize":             {coreReloSize, uint64(uapi.COREReloSize)},
		"bpfMapSHA":                {bpfMapSHA, uint64(uapi.BPFMapSHA)},
		"bpfMapExcl":               {bpfMapExcl, uint64(uapi.BPFMapExcl)},
		"createType":               {createType, uint64(uapi.MapCreateType)},
		"createKeySize":            {createKeySize, uint64(uapi.MapCreateKeySize)},
		"createValueSize":          {createValueSize, uint64(uapi.MapCreateValueSize)},
		"createMaxEntries":         {createMaxEntries, uint64(uapi.MapCreateMaxEntries)},
		"createFlags":              {createFlags, uint64(uapi.MapCreateFlags)},
		"createInnerMapFD":         {createInnerMapFD, uint64(uapi.MapCreateInnerMapFD)},
		"createNUMANode":           {createNUMANode, uint64(uapi.MapCreateNUMANode)},
		"createName":               {createName, uint64(uapi.MapCreateName)},
		"createIfIndex":            {createIfIndex, uint64(uapi.MapCreateIfIndex)},
		"createBTFFD":              {createBTFFD, uint64(uapi.MapCreateBTFFD)},
		"createKeyType":            {createKeyType, uint64(uapi.MapCreateKeyTypeID)},
		"createValueType":          {createValueType, uint64(uapi.MapCreateValueTypeID)},
		"createKernelValue":        {createKernelValue, uint64(uapi.MapCreateKernelValueTypeID)},
		"createExtra":              {createExtra, uint64(uapi.MapCreateExtra)},
		"createValueBTFFD":         {createValueBTFFD, uint64(uapi.MapCreateValueTypeBTFFD)},
		"createExclHash":           {createExclHash, uint64(uapi.MapCreateExclProgHash)},
		"createExclHashSize":       {createExclHashSize, uint64(uapi.MapCreateExclProgHashSize)},
		"createEnd":                {createEnd, uint64(uapi.MapCreateExclProgHashSize + 4)},
		"updateMapFD":              {updateMapFD, uint64(uapi.MapUpdateMapFD)},
		"updateKey":                {updateKey, uint64(uapi.MapUpdateKey)},
		"updateValue":              {updateValue, uint64(uapi.MapUpdateValue)},
		"updateFlags":              {updateFlags, uint64(uapi.MapUpdateFlags)},
		"updateEnd":                {updateEnd, uint64(uapi.MapUpdateFlags + 8)},
		"freezeMapFD":              {freezeMapFD, uint64(uapi.MapFreezeMapFD)},
		"freezeEnd":                {freezeEnd, uint64(uapi.MapFreezeMapFD + 4)},
		"btfData":                  {btfData, uint64(uapi.BTFLoadBTF)},
		"btfSize":                  {btfSize, uint64(uapi.BTFLoadSize)},
		"btfLogTrueSize":           {btfLogTrueSize, uint64(uapi.BTFLoadLogTrueSize)},
		"btfEnd":                   {btfEnd, uint64(uapi.BTFLoadTokenFD + 4)},
		"progType":                 {progType, uint64(uapi.ProgLoadType)},
		"progInsnCnt":              {progInsnCnt, uint64(uapi.ProgLoadInsnCnt)},
		"progInsns":                {progInsns, uint64(uapi.ProgLoadInsns)},
		"progLicense":              {progLicense, uint64(uapi.ProgLoadLicense)},
		"progLogLevel":             {progLogLevel, uint64(uapi.ProgLoadLogLevel)},
		"progFlags":                {progFlags, uint64(uapi.ProgLoadFlags)},
		"progName":                 {progName, uint64(uapi.ProgLoadName)},
		"progIfIndex":              {progIfIndex, uint64(uapi.ProgLoadIfIndex)},
		"progAttachType":           {progAttachType, uint64(uapi.ProgLoadAttachType)},
		"progBTFFD":                {progBTFFD, uint64(uapi.ProgLoadBTFFD)},
		"progFuncInfoRecSize":      {progFuncInfoRecSize, uint64(uapi.ProgLoadFuncInfoRecSize)},
		"progFuncInfo":             {progFuncInfo, uint64(uapi.ProgLoadFuncInfo)},
		"progFuncInfoCnt":          {progFuncInfoCnt, uint64(uapi.ProgLoadFuncInfoCnt)},
		"progLineInfoRecSize":      {progLineInfoRecSize, uint64(uapi.ProgLoadLineInfoRecSize)},
		"progLineInfo":             {progLineInfo, uint64(uapi.ProgLoadLineInfo)},
		"progLineInfoCnt":          {progLineInfoCnt, uint64(uapi.ProgLoadLineInfoCnt)},
		"progAttachBTFID":          {progAttachBTFID, uint64(uapi.ProgLoadAttachBTFID)},
		"progAttachFD":             {progAttachFD, uint64(uapi.ProgLoadAttachBTFObjFD)},
		"progCOREReloCnt":          {progCOREReloCnt, uint64(uapi.ProgLoadCOREReloCnt)},
		"progFDArray":              {progFDArray, uint64(uapi.ProgLoadFDArray)},
		"progCORERelos":            {progCORERelos, uint64(uapi.ProgLoadCORERelos)},
		"progCOREReloRecSize":      {progCOREReloRecSize, uint64(uapi.ProgLoadCOREReloRecSize)},
		"progLogTrueSize":          {progLogTrueSize, uint64(uapi.ProgLoadLogTrueSize)},
		"progTokenFD":              {progTokenFD, uint64(uapi.ProgLoadTokenFD)},
	} {
		qt.Check(t, qt.Equals(pair[0], pair[1]), qt.Commentf("%s", name))
	}
	for fn, h := range helpers {
		n, ok := uapi.Helper(fn).Args()
		qt.Check(t, qt.IsTrue(ok))
		qt.Check(t, qt.Equals(h.args, n), qt.Commentf("%v", uapi.Helper(fn)))
	}
}
