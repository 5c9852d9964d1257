/*
 * The fixed shape of our WebM files: element IDs, sizes, and the places that
 * are patched at the end. docs/webm.md draws it.
 *
 *   0              EBML header                      WEBM_EBML_LEN
 *   SEGMENT_AT     Segment id, 8-byte size          patched
 *   SEEK_AT        SeekHead 3 entries, or 2 + Void  patched
 *   INFO_AT        Info: Duration first             patched
 *   ...            rest of Info, Tracks
 *   ...            Clusters
 *   ...            Cues
 */
#ifndef RECORDER_WEBM_LAYOUT_H
#define RECORDER_WEBM_LAYOUT_H

#include <stdint.h>

#define EBML_ID_HEADER	    0x1A45DFA3
#define EBML_ID_VERSION	    0x4286
#define EBML_ID_READ_VERSION 0x42F7
#define EBML_ID_MAX_ID	    0x42F2
#define EBML_ID_MAX_SIZE    0x42F3
#define EBML_ID_DOCTYPE	    0x4282
#define EBML_ID_DOC_VERSION 0x4287
#define EBML_ID_DOC_READ_VERSION 0x4285
#define EBML_ID_VOID	    0xEC

#define WEBM_ID_SEGMENT	      0x18538067
#define WEBM_ID_SEEK_HEAD     0x114D9B74
#define WEBM_ID_SEEK	      0x4DBB
#define WEBM_ID_SEEK_ID	      0x53AB
#define WEBM_ID_SEEK_POSITION 0x53AC
#define WEBM_ID_INFO	      0x1549A966
#define WEBM_ID_SCALE	      0x2AD7B1
#define WEBM_ID_DURATION      0x4489
#define WEBM_ID_MUXING_APP    0x4D80
#define WEBM_ID_WRITING_APP   0x5741
#define WEBM_ID_DATE	      0x4461
#define WEBM_ID_UUID	      0x73A4
#define WEBM_ID_TITLE	      0x7BA9
#define WEBM_ID_TRACKS	      0x1654AE6B
#define WEBM_ID_TRACK	      0xAE
#define WEBM_ID_TRACK_NUMBER  0xD7
#define WEBM_ID_TRACK_UID     0x73C5
#define WEBM_ID_TRACK_TYPE    0x83
#define WEBM_ID_LACING	      0x9C
#define WEBM_ID_LANGUAGE      0x22B59C
#define WEBM_ID_CODEC	      0x86
#define WEBM_ID_VIDEO	      0xE0
#define WEBM_ID_WIDTH	      0xB0
#define WEBM_ID_HEIGHT	      0xBA
#define WEBM_ID_COLOUR	      0x55B0
#define WEBM_ID_MATRIX	      0x55B1
#define WEBM_ID_RANGE	      0x55B9
#define WEBM_ID_TRANSFER      0x55BA
#define WEBM_ID_PRIMARIES     0x55BB
#define WEBM_ID_CLUSTER	      0x1F43B675
#define WEBM_ID_TIMESTAMP     0xE7
#define WEBM_ID_SIMPLE_BLOCK  0xA3
#define WEBM_ID_CUES	      0x1C53BB6B
#define WEBM_ID_CUE	      0xBB
#define WEBM_ID_CUE_TIME      0xB3
#define WEBM_ID_CUE_POSITIONS 0xB7
#define WEBM_ID_CUE_TRACK     0xF7
#define WEBM_ID_CUE_CLUSTER   0xF1

#define WEBM_EBML_LEN	 36
#define WEBM_SEGMENT_AT	 WEBM_EBML_LEN
#define WEBM_DATA_AT	 (WEBM_SEGMENT_AT + 12) /* positions count from here */
#define WEBM_SEEK_AT	 WEBM_DATA_AT
#define WEBM_SEEK_LEN	 68 /* SeekHead with three entries */
#define WEBM_SEEK_ENTRY	 21
#define WEBM_INFO_AT	 (WEBM_SEEK_AT + WEBM_SEEK_LEN)
#define WEBM_DURATION_AT (WEBM_INFO_AT + 12) /* id 4, size 8 */
#define WEBM_DURATION_LEN 11

#define WEBM_CLUSTER_HEAD 22 /* id 4, size 8, Timestamp 1+1+8 */
#define WEBM_BLOCK_HEAD	 13  /* id 1, size 8, track 1, time 2, flags 1 */
#define WEBM_CUE_LEN	 23
#define WEBM_CUES_HEAD	 12

#define WEBM_UNKNOWN_SIZE UINT64_C(0x01FFFFFFFFFFFFFF)

#endif
